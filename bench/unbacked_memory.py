"""What one Envoy spends on a cluster that stands for nothing: an invented name of a deployment.

One sidecar is sent a request for each of many deployments that do not exist. Measured is by how much its RSS
grew per name, and the memory that Envoy itself counts as allocated (admin `/memory`).
"""

from http import HTTPStatus
from typing import Final

from bench.machine import memory
from bench.mesh import Caller, bench_mesh
from bench.options import Options
from bench.report import Row

_SERVICE: Final = "users"
_WARM_UP: Final = 50
"""Names before the first reading, so that what an Envoy allocates only once is not put down to names."""


async def measure(options: Options) -> list[Row]:
    """Return kB (1,000 bytes) per made-up name."""
    count = options.times(1000, 100)
    async with bench_mesh() as mesh:
        await mesh.origin()
        caller = await mesh.sidecar(await mesh.server())
        await caller.call(_SERVICE)
        await _make_up(caller, "warm-up", _WARM_UP)
        before, allocated = await _used(caller)
        await _make_up(caller, "made-up", count)
        after, allocated_after = await _used(caller)
    return [
        Row(
            "memory of one Envoy per cluster that stands for nothing",
            (after - before) / count,
            "kB",
            more={"allocated, as Envoy counts": (allocated_after - allocated) / count, "names": count},
        )
    ]


async def _make_up(caller: Caller, prefix: str, count: int) -> None:
    for number in range(count):
        answer = await caller.call(_SERVICE, f"{prefix}-{number}")
        if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
            raise ValueError(f"a deployment that does not exist answered {answer.status_code}")


async def _used(caller: Caller) -> tuple[float, float]:
    """Return RSS and allocated memory in kB."""
    return memory(caller.pid)["rss"] * 1000, await caller.admin.allocated_bytes() / 1000
