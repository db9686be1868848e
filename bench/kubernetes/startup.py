"""A server's start, watched from outside: when it first speaks to the API server, and when it serves Envoys."""

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.kubernetes.cluster import ClusterServer
from bench.machine import cpu_seconds

_API_PORT: Final = 6443
_POLL_SECONDS: Final = 0.005
_DEADLINE_SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class Startup:
    """Moments of a start, by `time.monotonic`.

    Args:
        began: When the process was started.
        asked: When it began its first connection to the API server.
        served: When it said that it serves Envoys.
        cpu_seconds: The CPU time that the process used in between.
    """

    began: float
    asked: float
    served: float
    cpu_seconds: float


async def started(server: ClusterServer) -> Startup:
    """Start a server and wait until it serves Envoys.

    Raises:
        TimeoutError: It does not.
    """
    began = time.monotonic()
    starting = asyncio.create_task(server.start())
    await asyncio.sleep(0)  # the process is there from its first step on
    asked = await _when(lambda: _is_connected(server))
    used = cpu_seconds(server.pid)
    served = await _when(lambda: "Detour serves" in server.log.read_text(encoding="utf-8"))
    used = cpu_seconds(server.pid) - used
    await starting
    return Startup(began, asked, served, used)


async def _when(condition: Callable[[], bool]) -> float:
    async with asyncio.timeout(_DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110  no other process sets an event here
            await asyncio.sleep(_POLL_SECONDS)
    return time.monotonic()


def _is_connected(server: ClusterServer) -> bool:
    """Say whether the process has a connection to the API server (proc(5), `/proc/PID/net/tcp`)."""
    with suppress(OSError):
        folder = Path(f"/proc/{server.pid}")
        own = {match[1] for fd in (folder / "fd").iterdir() if (match := re.match(r"socket:\[(\d+)", _target(fd)))}
        lines = (line.split() for line in (folder / "net/tcp").read_text().splitlines()[1:])
        return any(line[9] in own and line[2].endswith(f":{_API_PORT:04X}") for line in lines)
    return False


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:
        return ""
