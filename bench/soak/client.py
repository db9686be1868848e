"""A client that runs as a process of its own: requests go in as JSON lines, answers come out."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from bench.soak.requests import Request

_CLIENTS: Final = Path(__file__).with_name("clients")
_ROOT: Final = Path(__file__).parents[2]
_NICE: Final = ("nice", "-n", "19")
"""Clients run elsewhere in a mesh. Here they share two cores with Detour, and would starve a server that starts."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of client.

    Args:
        name: What it is called in results.
        command: The process.
        sends: What it can send, as `random_request` takes it.
        weight: Its part of all requests.
        concurrency: How many requests it has under way.
    """

    name: str
    command: Sequence[str]
    sends: Sequence[str]
    weight: int
    concurrency: int = 8


def kinds() -> list[Kind]:
    """Return the kinds of clients that this machine can run.

    Raises:
        RuntimeError: A client can't be built.
    """
    everywhere, http = ("sidecar", "edge", "preview", "link"), ("sidecar", "edge", "preview")
    python = [
        Kind("requests", (), everywhere, 4),
        Kind("urllib3", (), everywhere, 8),
        Kind("aiohttp", (), everywhere, 10),
        Kind("httpx", (), everywhere, 4),
        Kind("curl", (), everywhere, 1, 2),
        Kind("http10", (), http, 6),
        Kind("grpc", (), ("sidecar",), 4),
        Kind("websocket", (), ("sidecar",), 1),
        Kind("aiohttp websocket", (), ("sidecar",), 1),
    ]
    program = str(_CLIENTS / "client.py")
    found = [replace(one, command=(sys.executable, program, one.name, str(one.concurrency))) for one in python]
    if node := shutil.which("node"):
        _run("npm", "ci", "--no-audit", "--no-fund", "--prefix", str(_CLIENTS / "node"))
        script = str(_CLIENTS / "node/client.mjs")
        found.append(Kind("node http", (node, script, "http", "8"), http, 10))
        found.append(Kind("node fetch", (node, script, "fetch", "8"), ("edge", "link"), 6))
        found.append(Kind("node undici", (node, script, "undici", "8"), ("sidecar", "edge"), 4))
        found.append(Kind("node got", (node, script, "got", "8"), everywhere, 4))
    if shutil.which("go"):
        _run(str(_ROOT / "setup/go.sh"), str(_CLIENTS / "go"))
        go = str(_CLIENTS / "go/dist/service")
        found.append(Kind("go", (go, "http", "16"), everywhere, 30, 16))
        found.append(Kind("grpc-go", (go, "grpc", "8"), ("sidecar",), 4))
    if shutil.which("mvn"):
        jars = _run(str(_ROOT / "tests/propagation/brokers/jars.sh"), str(_CLIENTS / "java"))
        java = ("java", "-Xmx256m", "-cp", f"{jars}/*", str(_CLIENTS / "java/Client.java"))
        found.append(Kind("java HttpClient 5", (*java, "apache", "8"), http, 6))
        found.append(Kind("java WebClient", (*java, "webclient", "8"), http, 6))
    return found


def _run(*command: str) -> str:
    """Build something; return what the command prints.

    Raises:
        RuntimeError: It failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


class Client:
    """A client at work."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._last = 0

    async def start(self) -> None:
        """Start it."""
        pipe = asyncio.subprocess.PIPE
        command = (*_NICE, *self.kind.command)
        self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=2**22)
        self._reading = asyncio.create_task(self._read())

    async def send(self, request: Request, port: int) -> dict[str, Any]:
        """Make the client send a request to a port; return the answer that it reports.

        Raises:
            RuntimeError: The client has ended.
        """
        assert self._process and self._process.stdin  # noqa: PT018  started before
        self._last += 1
        answered: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[self._last] = answered
        line = {"id": self._last, "port": port, "url": request.url, "headers": request.headers}
        self._process.stdin.write(json.dumps({**line, "proxied": not request.by_edge}).encode() + b"\n")
        return await answered

    async def end(self) -> None:
        """End it."""
        if self._process and self._process.stdin:
            self._process.stdin.close()
            try:
                await asyncio.wait_for(self._process.wait(), 10)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._reading:
            await self._reading

    async def _read(self) -> None:
        assert self._process and self._process.stdout  # noqa: PT018  started before
        async for line in self._process.stdout:
            answer = json.loads(line)
            answered = self._answers.pop(answer["id"])
            # The waiting task may have been cancelled, at the end of a run that fails.
            if not answered.done():
                answered.set_result(answer)
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(RuntimeError(f"the client {self.kind.name} has ended"))
