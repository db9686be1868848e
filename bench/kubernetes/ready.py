"""The time from a change of a pod at the API server to its effect on callers, under load.

One sidecar, a real Envoy, that has called the service before; pods of another node whose status is written here,
with an HTTP server of the bench's at each one's address. A try takes one pod through its life:

- *offloaded*: it is made, with labels that the Service's selector matches too, and its status written: running,
  not Ready. Overridden requests are sent through the sidecar all the while, 400 a second, and are answered 503.
  Then its status is written with Ready true. From the moment at which that write has been answered until the
  first overridden request has been answered by it: the first row. Then it is deleted (gracefully, as `kubectl
  delete` does), or, every other try, its status is written with Ready false. From the moment at which that has
  been answered until the last request that it received: the second and the third row. 0 where none came after
  that moment.
- *baseline*: the same for a pod of the baseline, next to one other that stays. Requests without override, 400 a
  second, are shared out between the two.

Requests come every 2.5 ms (5 ms to one of two pods), so a number may be too large (first row) or too small (the
others) by so much. How long the write itself took is not in them: the server often acts before it has been
answered.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from bench.kubernetes.asking import Answer, Asking, load
from bench.kubernetes.cluster import BenchCluster, bench_cluster
from bench.kubernetes.instances import Instance, addresses
from bench.kubernetes.objects import offloaded, pod, service, status
from bench.mesh import Caller, until
from bench.options import Options
from bench.report import Row
from bench.spread import spread

_SERVICE: Final = "users"
_PER_SECOND: Final = 400
_CONNECTIONS: Final = 4
_QUIET_SECONDS: Final = 0.3
"""Under this load, a pod that has received no request for this time will receive none."""

_TARGET_MS: Final = 100
_DEADLINE_SECONDS: Final = 10


@dataclass(slots=True)
class Latencies:
    """In ms, a number for each try; by how the pod was taken away where it matters."""

    ready: list[float] = field(default_factory=list)
    removed: dict[str, list[float]] = field(default_factory=dict)
    wrong: list[Answer] = field(default_factory=list)

    def hear(self, answer: Answer) -> None:
        """Keep an answer that is neither 200 nor 503."""
        if answer.status not in {200, 503}:
            self.wrong.append(answer)


async def measure(options: Options) -> list[Row]:
    """Return how long it takes until a pod is used, and until it is not."""
    tries = options.times(400, 10)
    async with bench_cluster() as bench:
        await bench.create(service(_SERVICE))
        tried = await _Tried.on(bench)
        offloaded_ones = await tried.offloaded(tries)
        baseline_ones = await tried.baseline(tries)
    return [*_rows("an offloaded", offloaded_ones), *_rows("a baseline", baseline_ones)]


def _rows(whose: str, found: Latencies) -> Iterator[Row]:
    wrong = {"requests that failed otherwise": len(found.wrong)}
    first = "overridden request served" if "offloaded" in whose else "request that it serves"
    spreads = spread(found.ready, 50, 99)
    at_most = _TARGET_MS if "offloaded" in whose else None
    yield Row(
        f"status with Ready of {whose} pod written, to first {first}: p99",
        spreads["p99"],
        "ms",
        at_most,
        spreads | wrong,
    )
    for how, values in found.removed.items():
        spreads = spread(values, 50, 99)
        yield Row(
            f"{whose} pod {how}, to the last request that it is sent: p99",
            spreads["p99"],
            "ms",
            _TARGET_MS,
            spreads,
        )


class _Tried:
    """What all tries share.

    Args:
        bench: The cluster.
        caller: The sidecar through which requests are sent.
    """

    def __init__(self, bench: BenchCluster, caller: Caller) -> None:
        self._bench = bench
        self._caller = caller
        self._addresses = addresses()
        self._numbers = count(1)

    @staticmethod
    async def on(bench: BenchCluster) -> "_Tried":
        """Have a baseline with one pod that stays, a server, and a sidecar that calls it."""
        server = await bench.server()
        caller = await bench.mesh.sidecar(server)
        tried = _Tried(bench, caller)
        await tried._made({"app": _SERVICE}, is_ready=True)

        async def is_served() -> bool:
            return (await caller.call(_SERVICE)).is_success

        await until(is_served, "the baseline to be served")
        return tried

    async def offloaded(self, tries: int) -> Latencies:
        """Take `tries` offloaded pods through their lives."""
        found = Latencies()
        for number in range(tries):
            name = f"pr-{number}"
            connections = [Asking(self._caller.port, _SERVICE, name) for _ in range(_CONNECTIONS)]
            async with load(connections, _PER_SECOND, found.hear):
                await self._try(offloaded(_SERVICE, name), found, by_delete=number % 2 == 0)
        return found

    async def baseline(self, tries: int) -> Latencies:
        """Take `tries` pods of the baseline through their lives, beside the one that stays."""
        found = Latencies()
        connections = [Asking(self._caller.port, _SERVICE) for _ in range(_CONNECTIONS)]
        async with load(connections, _PER_SECOND, found.hear):
            for number in range(tries):
                await self._try({"app": _SERVICE}, found, by_delete=number % 2 == 0)
        return found

    async def _try(self, labels: dict[str, str], found: Latencies, *, by_delete: bool) -> None:
        path, instance = await self._made(labels, is_ready=False)
        await asyncio.sleep(_QUIET_SECONDS / 6)
        await self._bench.api.patch(f"{path}/status", status(instance.address, ready=True))
        written = time.monotonic()
        found.ready.append((await instance.first_answer(_DEADLINE_SECONDS) - written) * 1000)
        await asyncio.sleep(_QUIET_SECONDS / 6)
        how = "deleted" if by_delete else "status without Ready written"
        if by_delete:
            await self._bench.api.delete(path)
        else:
            await self._bench.api.patch(f"{path}/status", status(instance.address, ready=False))
        written = time.monotonic()
        await self._until_quiet(instance)
        found.removed.setdefault(how, []).append(max(0.0, instance.last_request - written) * 1000)
        await self._bench.api.delete(path, 0)
        await instance.stop()

    async def _made(self, labels: dict[str, str], *, is_ready: bool) -> tuple[str, Instance]:
        """Make a pod that runs; return its path and its instance."""
        name = f"{_SERVICE}-{next(self._numbers)}"
        path = f"{self._bench.core}/pods/{name}"
        instance = await Instance(next(self._addresses), name).start()
        await self._bench.create(pod(name, labels))
        await self._bench.api.patch(f"{path}/status", status(instance.address, ready=is_ready))
        return path, instance

    async def _until_quiet(self, instance: Instance) -> None:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            since = time.monotonic()
            wait = _QUIET_SECONDS
            while wait > 0:
                await asyncio.sleep(wait)
                wait = max(since, instance.last_request) + _QUIET_SECONDS - time.monotonic()
