"""How soon a changed scenario holds for its open links, among many others.

From the moment in which the change is sent to the first response of the edge that is as the change has it. The edge
is asked one request after the other, with the scenario's cookie.
"""

import time
from typing import Final

from bench.edge import DEPLOYMENT, SCENARIO, SERVICE, WITH_COOKIE, started
from bench.mesh import BASELINE, OFFLOADED, Caller, bench_mesh
from bench.options import Options
from bench.report import Row
from bench.server import Server
from bench.spread import spread

_OTHERS: Final = 1_000
_CHANGES: Final = 100


async def measure(options: Options) -> list[Row]:
    """Return the time that a change takes, in milliseconds."""
    async with bench_mesh() as mesh:
        await mesh.origin()
        server = await mesh.server()
        await server.add(SERVICE, DEPLOYMENT, mesh.offloaded)
        await server.save(SCENARIO, route_users=DEPLOYMENT)
        for number in range(options.times(_OTHERS, 10)):
            await server.save(f"other-{number}", route_users=f"pr-{number}")
        edge = await started(mesh, server)
        took = [await _milliseconds(server, edge, to=turn % 2) for turn in range(options.times(_CHANGES, 10))]
    numbers = spread(took, 50, 99)
    what = f"a changed scenario holds, among {_OTHERS:,} others: slowest"
    return [Row(what, max(took), "ms", 1_000, more=numbers)]


async def _milliseconds(server: Server, edge: Caller, *, to: int) -> float:
    overrides, expected = [({"delay_payments": "300ms"}, BASELINE), ({"route_users": DEPLOYMENT}, OFFLOADED)][to]
    start = time.perf_counter()
    await server.save(SCENARIO, **overrides)
    while (await edge.get(WITH_COOKIE)).text != expected:
        pass
    return (time.perf_counter() - start) * 1000
