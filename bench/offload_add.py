"""How soon an offloaded deployment serves: from the answer to `offload add` to the first request that it served.

Each try registers a deployment under a name that was never used, through the HTTP API of a real `detour serve`
with SQLite. When the API has answered, the clock starts, and requests with that override follow each other
through a real sidecar until one is served by the deployment; when its answer is complete, the clock stops. The
second row is the harder case for a person who is early: the sidecar was asked for the same deployment before it
existed.
"""

import time
from typing import Final

from bench.mesh import OFFLOADED, Caller, bench_mesh
from bench.options import Options
from bench.report import Row
from bench.server import Server
from bench.spread import spread

_SERVICE: Final = "users"
_GIVE_UP_SECONDS: Final = 10


async def measure(options: Options) -> list[Row]:
    """Return the latency in milliseconds for new names, and for names that were asked for too early."""
    async with bench_mesh() as mesh:
        await mesh.origin()
        server = await mesh.server()
        caller = await mesh.sidecar(server)
        await caller.call(_SERVICE)
        tries = options.times(200, 20)
        fresh = [await _try(server, caller, f"fresh-{n}", mesh.offloaded) for n in range(tries)]
        early = [await _early_try(server, caller, f"early-{n}", mesh.offloaded) for n in range(tries)]
    return [
        _row("`offload add` answered, to the first overridden request served: p99", fresh, 50),
        _row("the same, where the deployment had been asked for before: p99", early),
    ]


def _row(what: str, latencies: list[float], at_most: float | None = None) -> Row:
    numbers = spread(latencies, 50, 99)
    return Row(what, numbers["p99"], "ms", at_most, more=numbers)


async def _early_try(server: Server, caller: Caller, name: str, endpoint: str) -> float:
    await caller.call(_SERVICE, name)
    return await _try(server, caller, name, endpoint)


async def _try(server: Server, caller: Caller, name: str, endpoint: str) -> float:
    """Return milliseconds from the API's answer to the first served request.

    Raises:
        TimeoutError: The deployment did not serve in time.
    """
    await server.add(_SERVICE, name, endpoint)
    start = time.perf_counter()
    while (await caller.call(_SERVICE, name)).text != OFFLOADED:
        if time.perf_counter() - start > _GIVE_UP_SECONDS:
            raise TimeoutError(f"{name} did not serve within {_GIVE_UP_SECONDS} s")
    return (time.perf_counter() - start) * 1000
