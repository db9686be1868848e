"""A fleet of sidecars on one server: a few real Envoys, and many clients that speak as Envoy does."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from bench.kubernetes.fleet import USED, used_by
from bench.mesh import BenchMesh, free_ports
from bench.server import Server
from detour.envoy import Sidecar, sidecar_bootstrap
from detour.envoy.runner import tied_to_parent

_ROOT: Final = Path(__file__).parents[2]
_SETTLE_SECONDS: Final = 5
"""Who has not heard of something so long after it happened will not."""

_RIGHT_SECONDS: Final = 60
"""How long the controllers of a real cluster may take to follow."""

_ENVOYS: Final = 4
_USERS: Final = 4
_POLL_SECONDS: Final = 0.05
_CONNECT_SECONDS: Final = 120

Endpoints = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Held:
    """What the sidecars have in the end.

    Args:
        wrong: How many services of clients have other endpoints than they should.
        envoys_wrong: The same of Envoys.
        last_heard: When the last change of a service came to any of the clients, by `time.monotonic`.
        envoys: When all Envoys were seen to have the right endpoints; None if they never were.
        appeared: Each address with the moment at which a client heard of it, once for each client.
        responses: How many responses the clients were sent.
        bytes: And their size.
    """

    wrong: int
    envoys_wrong: int
    last_heard: float
    envoys: float | None
    appeared: list[tuple[str, float]]
    responses: int
    bytes: int


class Sidecars:
    """What is connected.

    Args:
        fleet: The process with the clients.
        envoys: The real ones, with the services that each uses.
        result: Where the process writes what its clients have.
    """

    def __init__(self, fleet: "subprocess.Popen[bytes]", envoys: "list[_Envoy]", result: Path) -> None:
        self.pid = fleet.pid
        self._fleet = fleet
        self._envoys = envoys
        self._result = result

    async def held(self, expected: Endpoints) -> Held:
        """Wait until all is quiet, and return what they have; to be called right after the last change."""
        envoys = await self._when_right(expected)
        envoys_wrong = await self._wrong(expected)
        await asyncio.sleep(_SETTLE_SECONDS)
        self._fleet.send_signal(signal.SIGTERM)
        await asyncio.to_thread(self._fleet.wait, _CONNECT_SECONDS)
        clients = json.loads(self._result.read_text(encoding="utf-8"))
        services = [(name, one) for client in clients for name, one in client["held"].items()]
        return Held(
            wrong=sum(frozenset(one["endpoints"]) != expected[name] for name, one in services),
            last_heard=max(one["changed"] for _, one in services),
            envoys_wrong=envoys_wrong,
            envoys=envoys,
            appeared=[(address, moment) for client in clients for address, moment in client["appeared"]],
            responses=sum(client["responses"] for client in clients),
            bytes=sum(client["bytes"] for client in clients),
        )

    async def _when_right(self, expected: Endpoints) -> float | None:
        deadline = time.monotonic() + _RIGHT_SECONDS
        while await self._wrong(expected):
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(_POLL_SECONDS)
        return time.monotonic()

    async def _wrong(self, expected: Endpoints) -> int:
        found = [(await _endpoints(envoy), envoy.services) for envoy in self._envoys]
        return sum(has.get(name) != expected[name] for has, services in found for name in services)


@asynccontextmanager
async def connected(mesh: BenchMesh, server: Server, folder: Path, services: int) -> AsyncIterator[Sidecars]:
    """Connect sidecars to a mesh of `services` services with four callers each. Four sidecars are real Envoys."""
    clients = services * _USERS // USED - _ENVOYS
    result = folder / "fleet.json"
    command = [sys.executable, "-m", "bench.kubernetes.fleet", server.xds, str(clients), str(services), str(result)]
    fleet = _started(command)
    try:
        await asyncio.wait_for(asyncio.to_thread(_first_line, fleet), _CONNECT_SECONDS)
        real = [await _envoy(mesh, server, used_by(clients + number, services)) for number in range(_ENVOYS)]
        yield Sidecars(fleet, real, result)
    finally:
        fleet.kill()
        await asyncio.to_thread(fleet.wait)


def _started(command: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(tied_to_parent(command), cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)


def _first_line(process: "subprocess.Popen[bytes]") -> bytes:
    line = process.stdout.readline() if process.stdout else b""
    if not line:
        raise RuntimeError("the clients ended before they were connected")
    return line


@dataclass(frozen=True, slots=True)
class _Envoy:
    services: list[str]
    admin: httpx.AsyncClient


async def _envoy(mesh: BenchMesh, server: Server, services: list[str]) -> _Envoy:
    outbound, inbound, admin, app = free_ports(4)
    settings = Sidecar(
        service="caller",
        instance=f"envoy-{admin}",
        app_port=app,
        outbound_port=outbound,
        inbound_port=inbound,
        admin_port=admin,
        control_plane=server.xds,
    )
    caller = await mesh.caller(sidecar_bootstrap(settings), outbound, admin)
    for service in services:
        await caller.call(service)  # no instance listens: the call only makes the sidecar subscribe
    return _Envoy(services, httpx.AsyncClient(base_url=f"http://127.0.0.1:{admin}", trust_env=False))


async def _endpoints(envoy: _Envoy) -> dict[str, frozenset[str]]:
    """Read from an Envoy's admin interface which endpoints its clusters have."""
    clusters: list[dict[str, Any]] = (await envoy.admin.get("/clusters?format=json")).json()["cluster_statuses"]
    return {
        one["name"]: frozenset(
            host["address"]["socket_address"]["address"]
            for host in one.get("host_statuses", [])
            if "socket_address" in host["address"]
        )
        for one in clusters
    }
