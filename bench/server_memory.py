"""Memory of the control plane with a large mesh and a fleet connected.

The process is a real `detour serve`; its mesh file names 1,000 services with ten endpoints each. The sidecars
are 100 real Envoys that have called twenty services each. Measured when all is quiet: RSS, which the
verdict is about, and PSS, of the server's process.
"""

import asyncio
from typing import Final

from bench.machine import memory
from bench.mesh import BenchMesh, Caller, bench_mesh, names
from bench.options import Options
from bench.report import Row
from bench.server import Server

_SERVICES: Final = 1000
_ENDPOINTS_PER_SERVICE: Final = 10
_CALLED: Final = 20
_STARTED_AT_ONCE: Final = 4


async def measure(options: Options) -> list[Row]:
    """Return the memory of the server in MB."""
    services = names(_SERVICES)
    sidecars = options.times(100, 8)
    async with bench_mesh() as mesh:
        await mesh.origin()
        server = await mesh.server(services, _ENDPOINTS_PER_SERVICE)
        empty = memory(server.pid)
        for first in range(0, sidecars, _STARTED_AT_ONCE):
            numbers = range(first, min(first + _STARTED_AT_ONCE, sidecars))
            await asyncio.gather(*(_sidecar(mesh, server, services, number) for number in numbers))
        connected = len(await server.envoys())
        full = memory(server.pid)
    return [
        Row(
            "memory of the control plane, 1,000 services, 10,000 endpoints, 100 sidecars connected",
            full["rss"],
            "MB",
            300,
            more={"PSS": full["pss"], "sidecars": connected, "RSS before the first sidecar": empty["rss"]},
        )
    ]


async def _sidecar(mesh: BenchMesh, server: Server, services: list[str], number: int) -> Caller:
    """Start a sidecar that has called twenty services, each sidecar others than its neighbour."""
    caller = await mesh.sidecar(server)
    for turn in range(_CALLED):
        (await caller.call(services[(number * _CALLED + turn * 37) % len(services)])).raise_for_status()
    return caller
