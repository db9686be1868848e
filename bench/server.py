"""The Detour server as a process of its own, as `detour serve` runs it: SQLite, mesh file, API and xDS."""

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, Final

import httpx

_START_SECONDS: Final = 240
_STOP_SECONDS: Final = 40
"""Longer than the server's graceful shutdown may take."""

_POLL_SECONDS: Final = 0.02


class ServerError(RuntimeError):
    """The server did not start; the message says what it said."""


class Server:
    """A `detour serve` that can be killed and started again at the same addresses.

    Args:
        mesh: The mesh file; state and log stand beside it.
        xds: `ip:port` for Envoys.
        api: `ip:port` for all other clients.
        database: Its URL; by default SQLite, beside the mesh file.
    """

    def __init__(self, mesh: Path, xds: str, api: str, database: str = "") -> None:
        self.xds = xds
        self.api = httpx.AsyncClient(base_url=f"http://{api}", timeout=10, trust_env=False)
        self._log = mesh.with_suffix(".log")
        # It ends when this process does, however this process ends.
        ended_with_parent = [setpriv, "--pdeathsig", "TERM"] if (setpriv := shutil.which("setpriv")) else []
        serve = [sys.executable, "-m", "detour", "serve", "--mesh", str(mesh), "--xds", xds, "--api", api]
        serve += ["--database", database] if database else []
        self._command = [*ended_with_parent, *serve]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the server as it runs."""
        if self._process is None:
            raise ServerError("the server has not been started")
        return self._process.pid

    async def start(self) -> None:
        """Start it and wait until the API answers.

        Raises:
            ServerError: It ended, or did not answer in time.
        """
        with self._log.open("wb") as log:
            self._process = self._spawn(log)
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not await self._is_live():  # noqa: ASYNC110  no other process sets an event here
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise ServerError(f"the server did not answer in {_START_SECONDS} s: {self._said()}") from None

    async def kill(self) -> None:
        """End it with SIGKILL, which it can't notice."""
        await self._end(signal.SIGKILL)

    async def restart(self) -> None:
        """End it in good order, and start it again.

        Raises:
            ServerError: It did not start.
        """
        await self._end(signal.SIGTERM)
        await self.start()

    async def stop(self) -> None:
        """End it, and forget it."""
        await self._end(signal.SIGTERM)
        await self.api.aclose()

    async def add(self, service: str, name: str, *endpoints: str) -> None:
        """Register an offloaded deployment, as `detour offload add` does.

        Raises:
            httpx.HTTPError: It refused, or is not there.
        """
        body = {"service": service, "name": name, "endpoints": endpoints, "owner": "bench", "ttl": "1h"}
        (await self.api.post("/v1/deployments", json=body)).raise_for_status()

    async def remove(self, service: str, name: str) -> None:
        """Remove an offloaded deployment, as `detour offload rm` does.

        Raises:
            httpx.HTTPError: It refused, or is not there.
        """
        (await self.api.delete(f"/v1/deployments/{service}/{name}")).raise_for_status()

    async def save(self, scenario: str, **overrides: str) -> None:
        """Save a scenario, as `detour scenario save` and `edit` do.

        Args:
            scenario: Its name.
            overrides: Key and value of each, as the API takes them, with underscores for dots.

        Raises:
            httpx.HTTPError: It refused, or is not there.
        """
        body = {"overrides": {key.replace("_", "."): value for key, value in overrides.items()}}
        path = f"/v1/scenarios/{scenario}"
        found = await self.api.get(path)
        last = {"if-match": found.headers["etag"]} if found.is_success else {"if-none-match": "*"}
        # The mesh of a measurement need not have all that its scenarios speak of.
        (await self.api.put(path, json=body, headers=last, params={"force": True})).raise_for_status()

    async def envoys(self) -> list[dict[str, Any]]:
        """Return the Envoys that are connected, as `/v1/status` lists them."""
        envoys: list[dict[str, Any]] = (await self.api.get("/v1/status")).raise_for_status().json()["envoys"]
        return envoys

    def _spawn(self, log: BinaryIO) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    async def _is_live(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise ServerError(f"the server ended: {self._said()}")
        try:
            return (await self.api.get("/healthz")).is_success
        except httpx.TransportError:
            return False

    async def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            await asyncio.to_thread(self._process.wait, _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    def _said(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def mesh_text(services: Iterable[tuple[str, Iterable[str]]]) -> str:
    """Return the text of a mesh file: services by name, with their endpoints; an edge serves the first of them."""
    listed = list(services)
    named = (f"  {name}: {{endpoints: [{', '.join(endpoints)}]}}\n" for name, endpoints in listed)
    edge = f'edge: {{hosts: {{"*": {listed[0][0]}}}, previews: {{preview.example.test: {listed[0][0]}}}}}\n'
    return edge + "services:\n" + "".join(named)
