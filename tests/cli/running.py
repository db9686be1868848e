"""Running `detour` as people do: in a process of its own, with its output kept."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DEADLINE_SECONDS = 60

_FOREIGN = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PYTHONPATH", "http_proxy")


def environment(**changes: str) -> dict[str, str]:
    """Return an environment in which nothing of the test's own changes what Detour does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DETOUR_")}
    return {**{name: value for name, value in kept.items() if name not in _FOREIGN}, **changes}


def detour(*arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "detour", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment(**changes),
        stdin=subprocess.DEVNULL,
        timeout=DEADLINE_SECONDS,
    )


def refusal(done: "subprocess.CompletedProcess[str]") -> str:
    """Check that a command failed as commands do, with one line and status 2; return the line."""
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert re.fullmatch(r"detour: [^\n]+\n", done.stderr), done.stderr
    return done.stderr.removeprefix("detour: ").rstrip("\n")


@dataclass
class Running:
    """A command that runs until it is told to end."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def text(self) -> str:
        """Return what it has said on either output."""
        return self.log.read_text()

    def wait_for(self, pattern: str) -> "re.Match[str]":
        """Wait until it has said something; return the match."""
        found: list[re.Match[str]] = []

        def has_said() -> bool:
            assert self.process.poll() is None, self.text()
            found.extend(re.finditer(pattern, self.text()))
            return bool(found)

        wait_until(has_said)
        return found[0]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal to the command alone; return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_SECONDS)


@contextmanager
def running(log: Path, *arguments: str, **changes: str) -> Iterator[Running]:
    """Start a command, and end it with everything that it has started."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "detour", *arguments],
            env=environment(**changes),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,
        )
    try:
        yield Running(process, log)
    finally:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, looking often; at the deadline it is an error."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"not within {DEADLINE_SECONDS} s"
        time.sleep(0.01)


@dataclass
class Server:
    """A running `detour serve`."""

    command: Running
    xds: str
    url: str

    def detour(self, *arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
        """Run another command against it."""
        return detour(*arguments, DETOUR_SERVER=self.url, DETOUR_CONTROL_PLANE=self.xds, **changes)


@contextmanager
def serving(mesh_file: Path, *options: str) -> Iterator[Server]:
    """Run a server on free ports."""
    free = ("--xds", "127.0.0.1:0", "--api", "127.0.0.1:0")
    log = mesh_file.parent.parent / "serve.log"
    with running(log, "serve", "--mesh", str(mesh_file), *free, *options) as command:
        said = command.wait_for(
            r"Detour serves .+ to Envoys at (127\.0\.0\.1:\d+), and its page and API at (http://\S+)\n"
        )
        yield Server(command, said[1], said[2])
