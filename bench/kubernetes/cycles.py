"""Two ways in which offloaded deployments come, change and go.

- `Copies`: as people do it, through Detour's API: a copy is made, rolled to another image, its container killed,
  and removed. Its pods really run.
- `Played`: the worst case: pods that the Service's selector matches too, at addresses that another pod has just
  released, and whose labels change while they run. The bench plays them and writes their status.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from itertools import count
from typing import Any, Final

import httpx

from bench.kubernetes.asking import Asking
from bench.kubernetes.cluster import BenchCluster, ClusterServer
from bench.kubernetes.instances import Instance
from bench.kubernetes.objects import offloaded, pod, status
from bench.kubernetes.witness import BASELINE, Witness, overridden
from bench.mesh import until
from detour.kubernetes.labels import OFFLOADED, SERVICE

USERS: Final = "users"
IMAGES: Final = ("registry.test/users:2", "registry.test/users:3")
OFFLOADED_PER_SECOND: Final = 40

_GRACE_SECONDS: Final = 1
"""How long a played pod serves on after it was asked to end. A kubelet seldom is quicker to free an address."""

_SECONDS: Final = 60


def client_of(server: ClusterServer) -> httpx.AsyncClient:
    """Return a client of Detour's API that waits long enough, and closes what is idle before the server does."""
    limits = httpx.Limits(keepalive_expiry=1)
    return httpx.AsyncClient(base_url=server.api.base_url, timeout=_SECONDS, limits=limits, trust_env=False)


class _Cycles:
    def __init__(self, bench: BenchCluster, ports: list[int], witness: Witness) -> None:
        self._bench = bench
        self._api = bench.api
        self._ports = ports
        self._witness = witness

    async def _until_answered(self, deployment: str, is_right: Callable[[int, str], bool], what: str) -> None:
        """Wait until requests through every sidecar are answered so; deployment "" means without override."""
        for port in self._ports:
            connection = Asking(port, USERS, deployment)

            async def is_answered(connection: Asking = connection) -> bool:
                answer = await connection.ask()
                return is_right(answer.status, answer.body)

            try:
                await until(is_answered, f"{deployment or BASELINE}: {what}", _SECONDS)
            finally:
                connection.close()


class Copies(_Cycles):
    """Cycles through Detour's API.

    Args:
        detour: A client of that API.
    """

    def __init__(self, *shared: Any, detour: httpx.AsyncClient) -> None:
        super().__init__(*shared)
        self._detour = detour

    async def cycle(self, name: str) -> None:
        """Create, roll, crash, delete."""
        async with overridden(self._witness, self._ports, USERS, name, OFFLOADED_PER_SECOND):
            for image in IMAGES:
                await self._create(name, image)
            await self._crash(name)
            (await self._detour.delete(f"/v1/deployments/{USERS}/{name}")).raise_for_status()
            await self._until_answered(name, lambda code, _: code == 503, "to be gone")

    async def _create(self, name: str, image: str) -> None:
        """Make it of an image, or roll it there; wait until pods of that image answer."""
        body = {"service": USERS, "name": name, "image": image, "owner": "bench", "env": {"DEPLOYMENT": name}}
        (await self._detour.post("/v1/copies", json=body)).raise_for_status()

        async def is_done() -> bool:
            pods = await self._pods(name)
            return [one["spec"]["containers"][0]["image"] for one in pods] == [image] and _is_ready(pods[0])

        await until(is_done, f"{name} to run {image}", _SECONDS)
        await self._until_answered(name, lambda code, body: (code, body) == (200, name), "to answer")

    async def _crash(self, name: str) -> None:
        """Kill the container's process; wait until it has been started again."""
        (before,) = await self._pods(name)
        ((process, restarts),) = _containers(before)
        os.kill(process, signal.SIGKILL)

        async def is_back() -> bool:
            return any(_is_ready(one) and _containers(one)[0][1] > restarts for one in await self._pods(name))

        await until(is_back, f"{name} to be Ready after a crash", _SECONDS)
        await self._until_answered(name, lambda code, body: (code, body) == (200, name), "to answer after a crash")

    async def _pods(self, name: str) -> list[dict[str, Any]]:
        found = await self._api.find(f"{self._bench.core}/pods?labelSelector={OFFLOADED}={name}") or {}
        return [one for one in found["items"] if "deletionTimestamp" not in one["metadata"]]


class Played(_Cycles):
    """Cycles of pods that the bench plays; each worker has addresses of its own.

    Args:
        addresses: Two, which its pods use again and again.
    """

    def __init__(self, *shared: Any, addresses: tuple[str, str]) -> None:
        super().__init__(*shared)
        self._addresses = addresses
        self._numbers = count(1)

    async def cycle(self, name: str) -> None:
        """Create, roll, crash, move to another deployment, delete; then a baseline pod at the same address."""
        moved = f"{name}-moved"
        async with (
            overridden(self._witness, self._ports, USERS, name, OFFLOADED_PER_SECOND / 2),
            overridden(self._witness, self._ports, USERS, moved, OFFLOADED_PER_SECOND / 2),
        ):
            first = await self._born(name, self._addresses[0])
            second = await self._born(name, self._addresses[1])
            await self._end(first)
            second = await self._crash(name, second)
            await self._relabel(second, moved, {OFFLOADED: moved})
            await self._until_answered(moved, lambda code, _: code == 200, "to answer")
            await self._end(second)
            await self._until_answered(moved, lambda code, _: code == 503, "to be gone")
            await self._baseline_at_the_same_address(moved)

    async def _baseline_at_the_same_address(self, deployment: str) -> None:
        """One that becomes a deployment's while it lives, and then ends; and one that ends as the baseline's."""
        third = await self._born(BASELINE, self._addresses[1])
        labels = {OFFLOADED: deployment, SERVICE: USERS}
        await self._relabel(third, deployment, labels)
        await self._until_answered(deployment, lambda code, body: (code, body) == (200, third.name), "to answer")
        await self._end(third)
        await self._end(await self._born(BASELINE, self._addresses[0]))

    async def _born(self, role: str, address: str) -> Instance:
        """Make a pod, and wait until it answers; its status is written as a kubelet does, not Ready first."""
        name = f"{role}-{next(self._numbers)}-{address.replace('.', '-')}"
        self._witness.born(name, role)
        labels = {"app": USERS} if role == BASELINE else offloaded(USERS, role)
        await self._bench.create(pod(name, labels))
        await self._write(name, address, ready=False)
        instance = await Instance(address, name).start()
        await self._write(name, address, ready=True)
        deployment = "" if role == BASELINE else role
        await self._until_answered(deployment, lambda code, body: (code, body) == (200, name), f"{name} to answer")
        return instance

    async def _crash(self, name: str, instance: Instance) -> Instance:
        """The process breaks off, the kubelet notices, and starts it again."""
        await instance.stop()
        await self._write(instance.name, instance.address, ready=False)
        await self._until_answered(name, lambda code, _: code == 503, "to have no Ready pod")
        again = await Instance(instance.address, instance.name).start()
        await self._write(instance.name, instance.address, ready=True)
        await self._until_answered(name, lambda code, _: code == 200, "to answer after a crash")
        return again

    async def _relabel(self, instance: Instance, role: str, labels: dict[str, str]) -> None:
        async with self._witness.becoming(instance.name, role):
            await self._api.patch(self._path(instance.name), {"metadata": {"labels": labels}})

    async def _end(self, instance: Instance) -> None:
        """End a pod as a kubelet does: it serves on for a moment, and ends; at once its address is free."""
        await self._api.delete(self._path(instance.name))
        await asyncio.sleep(_GRACE_SECONDS)
        await instance.stop()
        await self._api.delete(self._path(instance.name), 0)

    async def _write(self, name: str, address: str, *, ready: bool) -> None:
        await self._api.patch(f"{self._path(name)}/status", status(address, ready=ready))

    def _path(self, name: str) -> str:
        return f"{self._bench.core}/pods/{name}"


def _is_ready(one: dict[str, Any]) -> bool:
    conditions = one.get("status", {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _containers(one: dict[str, Any]) -> list[tuple[int, int]]:
    """Return the process id and the restarts of each container that runs."""
    return [
        (int(each["containerID"].removeprefix("process://")), each["restartCount"])
        for each in one["status"]["containerStatuses"]
        if "running" in each["state"]
    ]
