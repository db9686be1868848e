"""What the first call to a service costs more than later ones, because the sidecar has to ask where the service is.

For each of many services that the sidecar never called: the time of the first call, less the median of ten later
calls to the same service. The client's connection to the sidecar exists; the one from the sidecar to the instance
does not at the first call, and counts.
"""

import time
from statistics import median
from typing import Final

from bench.mesh import Caller, bench_mesh, names
from bench.options import Options
from bench.report import Row
from bench.spread import spread

_SERVICES: Final = 1000
_ENDPOINTS_PER_SERVICE: Final = 10
_LATER_CALLS: Final = 10


async def measure(options: Options) -> list[Row]:
    """Return the added latency of first calls in milliseconds."""
    services = names(_SERVICES)
    async with bench_mesh() as mesh:
        await mesh.origin()
        caller = await mesh.sidecar(await mesh.server(services, _ENDPOINTS_PER_SERVICE))
        # The very first is not counted: the client connects then.
        await caller.call(services[-1])
        added = [await _added(caller, service) for service in services[: options.times(200, 20)]]
    numbers = spread(added, 50, 99)
    what = "first call to a service that the sidecar never called, added latency: p50"
    return [Row(what, numbers["p50"], "ms", 15, more=numbers)]


async def _added(caller: Caller, service: str) -> float:
    first, *later = [await _milliseconds(caller, service) for _ in range(1 + _LATER_CALLS)]
    return first - median(later)


async def _milliseconds(caller: Caller, service: str) -> float:
    start = time.perf_counter()
    (await caller.call(service)).raise_for_status()
    return (time.perf_counter() - start) * 1000
