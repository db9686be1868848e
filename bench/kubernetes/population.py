"""A large namespace: its Services and pods, put into a real API server, and a rolling restart of all pods there."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

from bench.kubernetes.api import Api
from bench.kubernetes.cluster import NAMESPACE
from bench.kubernetes.instances import addresses
from bench.kubernetes.objects import Json, pod, service, status
from bench.mesh import names, until

PODS_EACH: Final = 10

_CORE: Final = f"/api/v1/namespaces/{NAMESPACE}"
_SLICES: Final = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
_AT_ONCE: Final = 24
_SETTLE_SECONDS: Final = 300

_Item = TypeVar("_Item")


@dataclass(slots=True)
class Restart:
    """What happened in a rolling restart; moments are of `time.monotonic`.

    Args:
        began: When it began.
        ready: By address, when the write of Ready had been answered.
        removed: By address, when the deletion had been answered.
    """

    began: float = field(default_factory=time.monotonic)
    ready: dict[str, float] = field(default_factory=dict)
    removed: dict[str, float] = field(default_factory=dict)

    @property
    def last(self) -> float:
        """When the last write had been answered."""
        return max(*self.ready.values(), *self.removed.values())

    @property
    def per_second(self) -> float:
        """How many pods were replaced a second."""
        return len(self.ready) / (self.last - self.began)


class Population:
    """Services with ten pods each.

    Args:
        services: How many Services.
    """

    def __init__(self, services: int) -> None:
        self.services = names(services)
        self.slices = _SLICES
        """The path of their EndpointSlices."""
        self._addresses = addresses()
        self._generation = itertools.count(1)
        self.pods: dict[tuple[str, int], tuple[str, str]] = {}
        """By service and number, each pod's name and address."""

    def __str__(self) -> str:
        return f"{len(self.services):,} Services, {len(self.services) * PODS_EACH:,} pods"

    @property
    def endpoints(self) -> dict[str, frozenset[str]]:
        """The addresses of each service's pods."""
        return {
            name: frozenset(self.pods[name, number][1] for number in range(PODS_EACH)) for name in self.services
        }

    async def load(self, api: Api) -> None:
        """Create it all, and wait until the controller has put every pod into an EndpointSlice."""
        keys = [(name, number) for number in range(PODS_EACH) for name in self.services]
        await _in_parallel(keys, lambda key: self.make(api, key))
        # After the pods: each slice is then written once, and not once a pod.
        await _in_parallel(self.services, lambda name: api.create(f"{_CORE}/services", service(name)))

        async def is_there() -> bool:
            return len(await ready_addresses(api)) == len(self.pods)

        await until(is_there, "all pods to be in EndpointSlices", _SETTLE_SECONDS)

    async def make(self, api: Api, key: tuple[str, int]) -> str:
        """Make a pod, Ready, in the place of the one that is there; return its address."""
        name, address = self.successor(key)
        await api.create(f"{_CORE}/pods", pod(name, {"app": key[0], "pod-template-hash": "7d4c9b"}))
        await api.patch(f"{_CORE}/pods/{name}/status", status(address, ready=True))
        self.pods[key] = name, address
        return address

    def successor(self, key: tuple[str, int]) -> tuple[str, str]:
        """Say what the next pod in a place is called, and its address."""
        return f"{key[0]}-7d4c9b-{next(self._generation):05x}", next(self._addresses)

    def in_turn(self) -> Iterator[tuple[str, int]]:
        """Give every pod's place in the order of a restart: all services roll at once, one pod at a time."""
        return ((name, number) for number in range(PODS_EACH) for name in self.services)

    async def restart(self, api: Api, per_second: float) -> Restart:
        """Replace every pod, at `per_second` or as fast as the API server allows.

        As in a rollout: the old one is asked to end, its successor made and written Ready, the old one removed.
        """
        done = Restart()
        turn = enumerate(self.in_turn())

        async def one(item: tuple[int, tuple[str, int]]) -> None:
            index, key = item
            await asyncio.sleep(done.began + index / per_second - time.monotonic())
            name, address = self.pods[key]
            await api.delete(f"{_CORE}/pods/{name}")
            done.removed[address] = time.monotonic()
            made = await self.make(api, key)
            done.ready[made] = time.monotonic()
            await api.delete(f"{_CORE}/pods/{name}", 0)

        await _in_parallel(turn, one)
        return done


async def ready_addresses(api: Api) -> set[str]:
    """Read from the EndpointSlices which addresses are ready."""
    found = await api.find(_SLICES) or {}
    return {
        endpoint["addresses"][0]
        for one in found["items"]
        for endpoint in one["endpoints"] or ()
        if endpoint["conditions"]["ready"]
    }


async def examples(api: Api, population: Population) -> dict[str, Json]:
    """Return a pod, a Service and an EndpointSlice as the API server gives them."""
    name = population.services[0]
    slices = await api.find(f"{_SLICES}?labelSelector=kubernetes.io/service-name={name}") or {}
    return {
        "pods": await api.find(f"{_CORE}/pods/{population.pods[name, 0][0]}") or {},
        "services": await api.find(f"{_CORE}/services/{name}") or {},
        "endpointslices": slices["items"][0],
    }


async def _in_parallel(items: Iterable[_Item], do: Callable[[_Item], Awaitable[object]]) -> None:
    left = iter(items)

    async def work() -> None:
        for item in left:
            await do(item)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_AT_ONCE):
            tasks.create_task(work())
