"""Threads and timers, also where gevent has put its own in their place: they run, under who started them."""

import json
import subprocess
import sys

import pytest

PATCH = "from gevent import monkey\nmonkey.patch_all()\n"
INSTALL = "import detour.sdk\ndetour.sdk.install()\n"

PROGRAM = """
import json, threading
from detour.sdk import current, using

said = []
for kind in (lambda work: threading.Thread(target=work), lambda work: threading.Timer(0.001, work)):
    with using("users=pr-42"):
        started = kind(lambda: said.append(current().route("users")))
        started.start()
    started.join(10)
never = threading.Timer(60, said.append, args=("never",))
never.start()
never.cancel()
never.join(10)
print(json.dumps(said))
"""


@pytest.mark.parametrize(
    "start", [INSTALL, PATCH + INSTALL, INSTALL + PATCH], ids=["plain", "patched", "patched later"]
)
def test_threads_and_timers_run_under_the_request_that_started_them(start: str) -> None:
    """Patching is for good, so each program has an interpreter of its own."""
    ran = subprocess.run(
        [sys.executable, "-c", start + PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == ["pr-42", "pr-42"]


SCHEDULERS = """
import asyncio, json, threading
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler
from detour.sdk import current, under_carried

said = []

def request(route):
    return under_carried({"baggage": f"override.route.users={route}"})

def job(done):
    said.append(current().route("users"))
    if len(said) % 3 == 0:
        done.set()

async def main():
    on_loop, done = AsyncIOScheduler(), asyncio.Event()
    with request("pr-a"):
        on_loop.start()
        on_loop.add_job(job, "interval", seconds=0.02, args=[done], max_instances=9)
        await asyncio.sleep(0.05)
    with request("pr-b"):
        on_loop.add_job(job, "date", args=[done])
        await done.wait()
    on_loop.shutdown()

asyncio.run(main())
of_its_own, done = BackgroundScheduler(), threading.Event()
with request("pr-a"):
    of_its_own.start()
    of_its_own.add_job(job, "interval", seconds=0.02, args=[done], max_instances=9)
    done.wait(20)
of_its_own.shutdown()
print(json.dumps(sorted({str(one) for one in said})))
"""


def test_a_schedulers_jobs_are_nobodys() -> None:
    """Whichever request starts it, or adds a job, on an event loop or in a thread of its own."""
    ran = subprocess.run(
        [sys.executable, "-c", INSTALL + SCHEDULERS], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == ["None"]
