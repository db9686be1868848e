"""Where the mesh comes from: a mesh file, the deployments registered at run time, and a cluster.

Invariant: a source's mesh is always its last good one; what is wrong with it is told beside it.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from detour.discovery.mesh_file import Changed, MeshFileError, Rejected, watch
from detour.mesh import DeploymentApplied, DeploymentRemoved, Event, Mesh, OffloadedDeployment, apply, touched
from detour.offload.registry import Registry

_EXPIRY_CHECK_SECONDS = 1.0
"""How late an expired deployment may be taken away."""

_log = logging.getLogger(__name__)


class Source(ABC):
    """A part of the mesh in force.

    Args:
        name: What people call it.
        mesh: What it says.
        place: Where people change it by hand; empty if they don't.
    """

    def __init__(self, name: str, mesh: Mesh, place: str = "") -> None:
        self.name = name
        self.mesh = mesh
        self.place = place
        self.what = place
        """What exactly is read."""

    @property
    @abstractmethod
    def problems(self) -> Sequence[str]:
        """What is wrong with it, a line each."""

    @abstractmethod
    async def follow(self, changed: Callable[[], None]) -> None:
        """Keep up with it until cancelled.

        Args:
            changed: To be called after `mesh` has changed, and when time has passed.
        """


class MeshFile(Source):
    """A mesh file that is read again whenever it changes.

    Args:
        path: The file.
        mesh: What it said when it was read.
    """

    def __init__(self, path: Path, mesh: Mesh) -> None:
        super().__init__("mesh file", mesh, str(path))
        self.path = path
        self.problem: MeshFileError | OSError | None = None

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong with the file since the last good one."""
        return [str(self.problem)] if self.problem else []

    async def follow(self, changed: Callable[[], None]) -> None:
        """Keep up with the file until cancelled, or until the system refuses to watch it."""
        try:
            async for news in watch(self.path, self.mesh):
                self._take(news)
                changed()
        except OSError as error:
            self.problem = error
            _log.error("%s is no longer watched: %s; restart the server to read it again", self.path, error)

    def _take(self, news: Changed | Rejected) -> None:
        if isinstance(news, Rejected):
            self.problem = news.error
            _log.error("%s\nthe mesh stays as it was before that change", news.error)
            return
        self.mesh, self.problem = apply(self.mesh, *news.events), None
        services = ", ".join(sorted(touched(news.events))) or "no service"
        _log.info("%s was read again; it changes %s", self.path, services)


class Registered(Source):
    """The deployments that were registered at run time, and are kept on disk.

    Invariant: a registration is on disk before it is answered or served.
    """

    def __init__(self, registry: Registry) -> None:
        super().__init__("registered", Mesh.of(deployments=registry.all()))
        self._registry = registry
        self._problem: OSError | None = None
        # Changes take effect in the order in which they are on disk.
        self._changing = asyncio.Lock()

    @property
    def problems(self) -> Sequence[str]:
        """What the disk refuses."""
        return [f"expired deployments stay on disk: {self._problem}"] if self._problem else []

    async def add(self, deployment: OffloadedDeployment) -> None:
        """Keep a deployment, or replace the owner's own.

        Raises:
            OwnedByAnotherError: Somebody else has registered the name.
            OSError: It could not be put on disk, and does not count.
        """
        async with self._changing:
            await asyncio.to_thread(self._registry.add, deployment)
            self._apply(DeploymentApplied(deployment))

    async def extend(self, service: str, name: str, expires: datetime) -> bool:
        """Let a deployment live until another moment; False if nobody registered it.

        Raises:
            OSError: It could not be put on disk, and does not count.
        """
        found = self.mesh.deployment(service, name)
        if found:
            await self.add(replace(found, expires=expires))
        return found is not None

    async def remove(self, service: str, name: str) -> bool:
        """Take a deployment away; False if nobody registered it.

        Raises:
            OSError: The disk could not be written; the deployment stays.
        """
        async with self._changing:
            found = await asyncio.to_thread(self._registry.remove, service, name)
            self._apply(DeploymentRemoved(service, name))
        return found

    async def follow(self, changed: Callable[[], None]) -> None:
        """Take deployments away whose time is over, until cancelled."""
        while True:
            await asyncio.sleep(_EXPIRY_CHECK_SECONDS)
            async with self._changing:
                expired = await self._remove_expired()
                self._apply(*(DeploymentRemoved(*deployment.key) for deployment in expired))
            changed()
            for deployment in expired:
                _log.info("%s of %s has expired", deployment, deployment.owner or "nobody")

    def _apply(self, *events: Event) -> None:
        self.mesh = apply(self.mesh, *events)

    async def _remove_expired(self) -> tuple[OffloadedDeployment, ...]:
        """Remove from disk what has expired; what can't be removed is no longer served all the same."""
        try:
            expired = await asyncio.to_thread(self._registry.remove_expired, datetime.now(UTC))
        except OSError as error:
            if self._problem is None:
                _log.error("expired deployments stay on disk: %s", error)
            self._problem = error
            return ()
        self._problem = None
        return expired
