"""Orders to the container runtime (`cluster/runtime`), and what becomes of them."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

_PROGRAM = Path(__file__).parent.parent / "runtime"


class StartError(RuntimeError):
    """A process could not be started; the message says why."""


class Process:
    """A process that the runtime started: a sandbox, a container or a command."""

    def __init__(self, runtime: "Runtime", name: str) -> None:
        self._runtime = runtime
        self._name = name
        loop = asyncio.get_running_loop()
        self.started: asyncio.Future[int] = loop.create_future()
        self._exit: asyncio.Future[int] = loop.create_future()

    @property
    def pid(self) -> int:
        """The process id, as the node sees it."""
        return self.started.result()

    def signal(self, number: int) -> None:
        """Send it a signal; one that has ended takes none."""
        if not self._exit.done():
            self._runtime.order({"do": "signal", "id": self._name, "signal": int(number)})

    async def ended(self) -> int:
        """Wait for its end; return its status, 128 + signal where one ended it."""
        return await asyncio.shield(self._exit)

    async def stop(self, grace_seconds: float) -> int:
        """SIGTERM, then SIGKILL after the grace; return its status."""
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_seconds):
                return await self.ended()
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """End it and all that it started; return its status."""
        self.signal(signal.SIGKILL)
        return await self.ended()

    def told(self, answer: Mapping[str, Any]) -> None:
        """Take the runtime's answer."""
        if "pid" in answer:
            self.started.set_result(answer["pid"])
        elif "failed" in answer:
            self.started.set_exception(StartError(answer["failed"]))
        elif not self._exit.done():
            self._exit.set_result(answer["exit"])


class Runtime:
    """The runtime's process, and the socket to it. It has the mounts that this one has when it is made."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen([sys.executable, "-S", "-E", str(_PROGRAM)], stdin=theirs.fileno())
        self._numbers = count(1)
        self._processes: dict[str, Process] = {}
        self._writer: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        """Take its answers, for ever."""
        reader, self._writer = await asyncio.open_connection(sock=self._socket, limit=1 << 20)
        while line := await reader.readline():
            answer = json.loads(line)
            process = self._processes[answer["id"]]
            process.told(answer)
            if "exit" in answer:
                del self._processes[answer["id"]]
        raise RuntimeError("the container runtime ended")

    def order(self, order: Mapping[str, Any]) -> None:
        """Send an order."""
        assert self._writer is not None
        self._writer.write(json.dumps(order).encode() + b"\n")

    async def start(self, kind: str, **order: Any) -> Process:
        """Start a sandbox, container or command; return it when it runs.

        Raises:
            StartError: It could not be.
        """
        name = str(next(self._numbers))
        process = self._processes[name] = Process(self, name)
        self.order({"do": kind, "id": name, **order})
        await asyncio.shield(process.started)
        return process


def container_id(process: Process) -> str:
    """Return what a pod's status calls it. The number is the process id of the container's init in the node."""
    return f"process://{process.pid}"


def namespace_path(process: Process, kind: str) -> str:
    """Return the path of a process's namespace."""
    return f"/proc/{process.pid}/ns/{kind}"
