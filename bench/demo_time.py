"""How long the demo takes when everything is installed: wall time of `make demo-once`, start to end.

Without a Makefile, this measures the last command of that target.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

from bench.options import Options
from bench.report import Row, skipped
from bench.spread import spread

_WHAT: Final = "`make demo-once` when everything is installed: slowest run"
_ROOT: Final = Path(__file__).parent.parent
_TIMEOUT_SECONDS: Final = 120


class DemoError(RuntimeError):
    """The demo did not end well; the message says how."""


async def measure(options: Options) -> list[Row]:
    """Return how long runs of the demo took, in seconds."""
    command = _command()
    try:
        seconds = [await _run(command) for _ in range(options.times(5, 1))]
    except DemoError as error:
        return [skipped(_WHAT, str(error))]
    numbers = spread(seconds, 50)
    return [
        Row(_WHAT, numbers["max"], "s", 15, more=numbers, note="make" if command[0] == "make" else "without make")
    ]


def _command() -> list[str]:
    if (_ROOT / "Makefile").exists():
        return ["make", "demo-once"]
    return [sys.executable, "-m", "detour", "demo", "--once"]


async def _run(command: list[str]) -> float:
    """Run the demo once; return the seconds it took.

    Raises:
        DemoError: It failed, or did not end in time.
    """
    start = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=_ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        raise DemoError(f"the demo had not ended after {_TIMEOUT_SECONDS} s") from None
    finally:
        await _end(process)
    if process.returncode:
        last = output.decode(errors="replace").strip().rpartition("\n")[2]
        raise DemoError(f"the demo ended with status {process.returncode}: {last}")
    return time.perf_counter() - start


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a demo that still runs: with SIGINT, on which it takes down all that it started, then by force."""
    for number in (signal.SIGINT, signal.SIGKILL):
        if process.returncode is None:
            os.killpg(process.pid, number)
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                continue
