"""A Kubernetes cluster, as a source of the mesh and as the place where copies run.

Invariant: an operation returns once its change is in the mesh in force.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from detour.discovery.kubernetes import Discovery
from detour.injection import SelectingService, service_of
from detour.kubernetes.api import Api
from detour.kubernetes.config import ClusterConfig
from detour.mesh import Mesh, MeshEvent, Naming, OffloadedDeployment
from detour.offload.kubernetes.claims import KNOWN, Claims
from detour.offload.kubernetes.cluster import ClusterDeployments
from detour.offload.kubernetes.copying import Wanted
from detour.offload.kubernetes.progress import Progress
from detour.server.sources import Source, StatusField

_IN_FORCE_SECONDS: Final = 10
"""Maximum time to wait until a change comes back from the API server; then the operation returns anyway."""


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The namespaces whose Services form the mesh.

    Args:
        home: The namespace whose services have names without a suffix.
        others: Further namespaces.
        are_all: Whether all namespaces of the cluster belong to the mesh.
    """

    home: str
    others: tuple[str, ...] = ()
    are_all: bool = False

    @property
    def watched(self) -> tuple[str, ...]:
        """The namespaces to watch; empty for all."""
        return () if self.are_all else (self.home, *self.others)

    def __str__(self) -> str:
        return "all namespaces" if self.are_all else ", ".join(self.watched)


class Cluster(Source):
    """The mesh that the cluster's objects form.

    Args:
        config: The API server, and the credentials for it.
        namespaces: The namespaces whose Services form the mesh.
        claims: The labels and annotations that copies must not have.
    """

    def __init__(self, config: ClusterConfig, namespaces: Namespaces, claims: Claims = KNOWN) -> None:
        super().__init__(
            "cluster", Mesh(), is_writable=True, status_field=StatusField.CLUSTER, location=str(namespaces)
        )
        self.naming = Naming(home=namespaces.home)
        self._api = Api(config)
        self.is_synced = asyncio.Event()
        self._discovery = Discovery(self._api, namespaces.watched, self.naming)
        self._deployments = ClusterDeployments(self._api, self.naming, claims)
        self._changed = asyncio.Condition()

    @property
    def problems(self) -> Sequence[str]:
        """Objects that cannot be read, or cannot be part of the mesh, a line each."""
        return self._discovery.problems

    async def follow(self) -> None:
        """Watch the cluster until cancelled."""
        news = asyncio.Event()

        def take(events: tuple[MeshEvent, ...]) -> None:
            self._change(*events)
            self.is_synced.set()
            news.set()

        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._discovery.follow(take))
                while True:
                    await news.wait()
                    news.clear()
                    async with self._changed:
                        self._changed.notify_all()
        finally:
            await self._api.close()

    def services(self, namespace: str) -> Sequence[SelectingService]:
        """Return the Services of a namespace that select pods."""
        return [
            SelectingService(one.metadata.name, one.spec.selector, one.spec.cluster_ip == "None")
            for one in self._discovery.services(namespace)
            if one.spec.selector and one.spec.type != "ExternalName"
        ]

    def service_of(self, namespace: str, pod: str, named: str) -> str:
        """Return the service that a sidecar belongs to: the one that its pod belongs to now.

        Args:
            namespace: The namespace of the sidecar.
            pod: The name of its pod.
            named: The service that its bootstrap names, which was chosen before the pod existed: a Service that was
                created after the pod selects it all the same.
        """
        labels = self._discovery.labels_of(namespace, pod)
        if labels is None:
            return named
        return service_of({"metadata": {"name": named, "labels": labels}}, self.services(namespace))

    async def version(self) -> tuple[int, int]:
        """Return the version of the cluster; waits until the API server answers."""
        return await self._discovery.version()

    async def create(self, wanted: Wanted) -> Sequence[str]:
        """Create a copy of the live baseline, or roll it; the rest is as in `ClusterDeployments`."""
        notes = await self._deployments.create(wanted)
        await self._until(lambda: self.mesh.deployment(wanted.service, wanted.name) is not None)
        return notes

    async def add(self, deployment: OffloadedDeployment) -> None:
        """Register endpoints; the errors are those of `ClusterDeployments`."""
        await self._deployments.add(deployment)
        await self._until(lambda: self._has(deployment))

    async def remove(self, service: str, name: str) -> bool:
        """Remove a deployment; return False if it does not exist. The errors are those of `ClusterDeployments`."""
        found = await self._deployments.remove(service, name)
        await self._until(lambda: self.mesh.deployment(service, name) is None)
        return found

    async def extend(self, service: str, name: str, expires: datetime) -> bool:
        """Change when a deployment expires; the errors are those of `ClusterDeployments`."""
        return await self._deployments.extend(service, name, expires)

    async def progress(self, service: str, name: str) -> Progress | None:
        """Return the progress of a copy; the errors are those of `ClusterDeployments`."""
        return await self._deployments.progress(service, name)

    async def undo(self, service: str, name: str) -> str:
        """Undo the last change of a copy; the errors are those of `ClusterDeployments`."""
        return await self._deployments.undo(service, name)

    def log(self, service: str, name: str, *, tail: int, follow: bool) -> AsyncIterator[str]:
        """Yield the log lines of the newest pod; the errors are those of `ClusterDeployments`."""
        return self._deployments.log(service, name, tail=tail, follow=follow)

    async def log_of(self, service: str, pod: str, container: str, tail: int) -> list[str]:
        """Return the last log lines of one container; the errors are those of `ClusterDeployments`."""
        return await self._deployments.log_of(service, pod, container, tail)

    def _has(self, wanted: OffloadedDeployment) -> bool:
        found = self.mesh.deployment(*wanted.key)
        return found is not None and found.endpoints == tuple(sorted(wanted.endpoints))

    async def _until(self, holds: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(_IN_FORCE_SECONDS), self._changed:
                await self._changed.wait_for(holds)
        except TimeoutError:
            _log.warning("the cluster has not confirmed a change after %s s", _IN_FORCE_SECONDS)
