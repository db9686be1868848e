"""What all brokers have in common: starting, knowing when one serves, ending."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from detour.envoy import tied_to_parent

_READY_SECONDS: Final = 90
_STOP_SECONDS: Final = 20
_POLL_SECONDS: Final = 0.05


class BrokerError(RuntimeError):
    """A broker does not serve; the message has its last words."""


@dataclass(frozen=True)
class Broker:
    """A kind of broker.

    Args:
        name: What people call it.
        why_not: Says why it can't be had on this machine; "" if it can.
        running: Runs one with its data in a folder, and gives the variables by which programs find it.
        is_packaged: Whether PyPI, npm and Debian are enough for it.
    """

    name: str
    why_not: Callable[[], str]
    running: Callable[[Path], AbstractContextManager[Mapping[str, str]]]
    is_packaged: bool


@contextmanager
def process(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], is_ready: Callable[[], bool]
) -> Iterator[None]:
    """Run a program, with all that it starts, until the context is left; first wait until it is ready.

    Raises:
        BrokerError: It ended, or was not ready in time.
    """
    log = folder / "log"
    with log.open("wb") as output:
        started = subprocess.Popen(
            tied_to_parent(command),
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + _READY_SECONDS
        while not is_ready():
            if started.poll() is not None or time.monotonic() > deadline:
                raise BrokerError(f"{command[0]} does not serve: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        _end(started)


def _end(started: "subprocess.Popen[bytes]") -> None:
    """End a program and its session's processes, which have its id as their group's."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(started.pid, number)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + _STOP_SECONDS
        while _has_members(started) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
    started.wait()


def _has_members(started: "subprocess.Popen[bytes]") -> bool:
    started.poll()
    try:
        os.killpg(started.pid, 0)
    except ProcessLookupError:
        return False
    return True


def accepts(port: int) -> bool:
    """Say whether somebody listens on a loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
