"""A terminal in which tests type what a page says to type: in a folder of its own, on free ports."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ports import free_port

DEADLINE_SECONDS = 120

PORTS = ("9001", "9002", "9003", "9102", "9103", "9080", "8000", "8080", "15001", "15020")
"""Ports that pages name; each is a free one here."""

# What is not the same for all that runs on one machine, and has no place in an example.
OPTIONS = {
    "detour serve": "--xds 127.0.0.1:{xds} --api 127.0.0.1:{api}",
    "detour sidecar": "--outbound-port {outbound} --inbound-port {inbound} --admin-port {admin}",
    "detour edge": "--listen 127.0.0.1:{edge} --admin-port {admin}",
}


class Terminal:
    """A shell's folder, environment and ports.

    Args:
        folder: Where commands run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {port: str(free_port()) for port in PORTS}
        self.ports |= {word: str(free_port()) for word in ("xds", "api", "outbound", "inbound")}
        self.ports |= {"15001": self.ports["outbound"], "15020": self.ports["api"], "edge": self.ports["8000"]}
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("DETOUR_")},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin",
            "DETOUR_CONTROL_PLANE": f"127.0.0.1:{self.ports['xds']}",
            "DETOUR_SERVER": f"http://127.0.0.1:{self.ports['api']}",
            "XDG_CONFIG_HOME": str(folder / "home"),
            "no_proxy": "",
        }
        self._started: list[subprocess.Popen[bytes]] = []

    def moved(self, text: str) -> str:
        """Return a text with the ports of this terminal in place of those that it names."""
        return re.sub(
            rf"\b(?:127\.0\.0\.1:|-port |--port |=)?({'|'.join(PORTS)})\b",
            lambda found: found[0].replace(found[1], self.ports[found[1]]),
            text,
        )

    def completed(self, command: str) -> str:
        """Return a command with the ports that every program on this machine needs for itself."""
        for start, options in OPTIONS.items():
            if command.startswith(start):
                ports = {**self.ports, "admin": str(free_port())}
                return f"{command} {options.format_map(ports)}"
        return command

    def start(self, command: str, before: str = "", log: IO[str] | None = None) -> "subprocess.Popen[bytes]":
        """Start a command that goes on running; its shell does first what stands before it."""
        process = subprocess.Popen(
            ["bash", "-c", before + _replacing_shell(command)],
            cwd=self.folder,
            env=self.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def run(self, command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_SECONDS,
        )

    def expect(self, command: str, printed: str = "") -> "subprocess.CompletedProcess[str]":
        """Run a command until it succeeds, and prints what it should if that is given; at the deadline it fails."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            done = self.run(command)
            if done.returncode == 0 and (done.stdout.strip() == printed or not printed):
                return done
            assert time.monotonic() < deadline, (command, done.stdout, done.stderr)
            time.sleep(0.1)

    def end(self) -> None:
        """End all that was started."""
        for process in reversed(self._started):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._started:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(30)


@contextmanager
def terminal(folder: Path) -> Iterator[Terminal]:
    """Open a terminal, and end what was started in it."""
    opened = Terminal(folder)
    try:
        yield opened
    finally:
        opened.end()


def _replacing_shell(command: str) -> str:
    """Have the program take the place of the shell that starts it; variables stand in front."""
    variables = re.match(r"(?:\w+=\S+ )*", command)[0]
    return f"{variables and f'export {variables};'} exec {command[len(variables) :]}"
