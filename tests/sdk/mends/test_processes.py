"""What a request gives to pools, threads and processes runs under its overrides; what serves everybody does not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

THREADS = """
import json, os, threading, time
from concurrent.futures import Future, ThreadPoolExecutor
import detour.sdk
detour.sdk.install()
from detour.sdk import current, using

pool = ThreadPoolExecutor(1)
found = {}

class Own(threading.Thread):
    def run(self):
        found["thread with a run of its own"] = current().route("users")

with using("users=pr-42"):
    found["pool"] = pool.submit(lambda: current().route("users")).result()  # starts the pool's thread
    own = Own()
    own.start()
    own.join()

blocked = threading.Event()
def note(name):
    return lambda _: found.setdefault(name, current().route("users"))

with using("users=pr-42"):
    future = pool.submit(blocked.wait)
    future.add_done_callback(note("callback"))
future.add_done_callback(note("callback of nobody"))  # runs in the pool's thread
nobody = pool.submit(lambda: current().route("users"))
blocked.set()
found["pool, for nobody"] = nobody.result()
with using("users=pr-7"):
    found["pool, for another"] = pool.submit(lambda: current().route("users")).result()
pool.shutdown()
print(json.dumps(found))
"""

PROCESSES = """
import json, multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
import detour.sdk
detour.sdk.install()
from detour.sdk import current, using

def asked(*_):
    return current().route("users")

def put(queue):
    queue.put(asked())

if __name__ == "__main__":
    kind = multiprocessing.get_context(sys.argv[1])
    found = {}
    executor = ProcessPoolExecutor(1, mp_context=kind)
    with using("users=pr-42"):
        found["executor"] = executor.submit(asked).result()
        found["executor's map"] = list(executor.map(asked, [1]))[0]
        queue = kind.Queue()
        process = kind.Process(target=put, args=(queue,))
        process.start()
        found["process"] = queue.get()
        process.join()
        pool = kind.Pool(1)
        found["pool"] = pool.apply(asked)
        found["pool's map"] = pool.map(asked, [1])[0]
        found["pool's imap"] = next(pool.imap(asked, [1]))
    found["executor, for nobody"] = executor.submit(asked).result()
    found["pool, for nobody"] = pool.apply(asked)
    executor.shutdown()
    pool.terminate()
    pool.join()
    print(json.dumps(found))
"""


def said(program: Path, *arguments: str, **variables: str) -> dict[str, str | None]:
    """Return what a program prints, as JSON."""
    ran = subprocess.run(
        [sys.executable, str(program), *arguments],
        env={**{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, str | None] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("disabled", ["", "threading"])
def test_threads_and_pools(tmp_path: Path, disabled: str) -> None:
    """Whether or not OpenTelemetry's instrumentation of threads is on."""
    program = tmp_path / "program.py"
    program.write_text(THREADS)
    assert said(program, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=disabled) == {
        "pool": "pr-42",
        "thread with a run of its own": "pr-42",
        "callback": "pr-42",
        "callback of nobody": None,
        "pool, for nobody": None,
        "pool, for another": "pr-7",
    }


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_processes(tmp_path: Path, start: str) -> None:
    """Forked or not."""
    program = tmp_path / "program.py"
    program.write_text(PROCESSES)
    assert said(program, start) == {
        "executor": "pr-42",
        "executor's map": "pr-42",
        "process": "pr-42",
        "pool": "pr-42",
        "pool's map": "pr-42",
        "pool's imap": "pr-42",
        "executor, for nobody": None,
        "pool, for nobody": None,
    }
