import os
import signal
import subprocess
import sys

import pytest

from demo.watching import is_running, wait_until
from detour.demo.processes import Process, ProcessError, stop_all

DEADLINE_SECONDS = 20
FOREVER = "import signal; print('up', flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"


def python(code, log):
    """Start a Python program."""
    return Process("example", [sys.executable, "-c", code], os.environ, log)


def has_said(log, word):
    """Return the condition that the word stands in the log."""

    async def condition():
        return word in log.read_text()

    return condition


async def test_a_process_is_ready_when_the_condition_holds_and_can_be_ended(tmp_path):
    """It runs until it is stopped, and stopping it twice is no error."""
    log = tmp_path / "log"
    process = python(FOREVER, log)
    await process.ready(has_said(log, "up"), DEADLINE_SECONDS)
    assert process.returncode is None
    await stop_all([process])
    assert process.returncode == -signal.SIGTERM
    await process.stop()


async def test_a_process_that_ends_instead_is_told_with_its_last_words(tmp_path):
    """The error names the process, its status and the last line that it wrote."""
    log = tmp_path / "log"
    process = python("import sys; sys.exit('the port is taken')", log)
    with pytest.raises(ProcessError, match="example ended with status 1: the port is taken"):
        await process.ready(has_said(log, "up"), DEADLINE_SECONDS)


async def test_a_process_that_is_never_ready_is_told(tmp_path):
    """The wait ends at the deadline, in words."""
    log = tmp_path / "log"
    process = python(FOREVER, log)
    try:
        await process.ready(has_said(log, "up"), DEADLINE_SECONDS)
        with pytest.raises(ProcessError, match=r"example was not ready after 0\.1 s: up"):
            await process.ready(has_said(log, "never"), 0.1)
    finally:
        await process.stop()


async def test_a_process_that_ignores_the_signal_is_killed(tmp_path, monkeypatch):
    """Stopping ends every process, whatever it thinks of that."""
    monkeypatch.setattr("detour.demo.processes._STOP_SECONDS", 0.1)
    log = tmp_path / "log"
    process = python(STUBBORN, log)
    await process.ready(has_said(log, "up"), DEADLINE_SECONDS)
    await process.stop()
    assert process.returncode == -signal.SIGKILL


PARENT = """
import os, signal, sys
from pathlib import Path
from detour.demo.processes import Process

child = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
Process("child", [sys.executable, "-c", child], os.environ, Path(sys.argv[1]))
signal.pause()
"""


def test_a_process_ends_with_the_one_that_started_it(tmp_path):
    """Not even kill -9 leaves a child behind."""
    log = tmp_path / "child"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(log)])
    try:
        wait_until(lambda: log.exists() and log.read_text().endswith("\n"))
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not is_running(int(log.read_text())))
