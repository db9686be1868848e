"""Sources of the mesh: a mesh file, the deployments registered at run time, and a cluster.

Invariant: a source always has its last good mesh; `problems` says what is wrong with newer input.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from detour.database import StorageError
from detour.discovery.mesh_file import Changed, MeshFileError, Rejected, watch
from detour.mesh import DeploymentApplied, DeploymentRemoved, Mesh, MeshEvent, OffloadedDeployment, touched, update
from detour.offload.registry import Registry
from detour.standing_problem import StandingProblem

_NAMED_MAX: Final = 10
"""Maximum number of services that a log line lists."""

_EVENTS_AT_ONCE: Final = 2000
"""Maximum number of events of a mesh file that take effect in one step of the event loop: about 30 ms."""

_log = logging.getLogger(__name__)

Listener = Callable[["Source", Sequence[MeshEvent]], None]


class StatusField(StrEnum):
    """A field of `GET /v1/status` that is about one source."""

    MESH_FILE = "mesh_file"
    CLUSTER = "cluster"


class Source(ABC):
    """A part of the mesh in force.

    Args:
        name: Its name in messages and in the API.
        mesh: Its initial mesh.
        is_writable: Whether deployments can be registered in it through the API.
        status_field: Its own field of `GET /v1/status`, which lists its problems; None without one.
        location: The path or the namespaces that it reads.
    """

    def __init__(
        self, name: str, mesh: Mesh, *, is_writable: bool, status_field: StatusField | None, location: str = ""
    ) -> None:
        self.name: Final = name
        self.mesh = mesh
        self.is_writable: Final = is_writable
        self.status_field: Final = status_field
        self.location: Final = location
        self._listener: Listener = lambda _source, _events: None

    @property
    @abstractmethod
    def problems(self) -> Sequence[str]:
        """Its current problems, a line each."""

    @abstractmethod
    async def follow(self) -> None:
        """Follow its changes until cancelled."""

    def listen(self, listener: Listener) -> None:
        """Call a function after each change; without events if only `problems` may have changed."""
        self._listener = listener

    def remove_expired(self) -> None:
        """Request the removal of expired things from the source's storage; called about once a second."""
        return

    def _change(self, *events: MeshEvent) -> None:
        self.mesh, effective = update(self.mesh, events)
        self._listener(self, effective)


class MeshFile(Source):
    """A mesh file that is read again whenever it changes.

    Args:
        path: The file.
        mesh: Its content.
    """

    def __init__(self, path: Path, mesh: Mesh) -> None:
        super().__init__(
            "mesh file", mesh, is_writable=False, status_field=StatusField.MESH_FILE, location=str(path)
        )
        self.path: Final = path
        self.problem: MeshFileError | OSError | None = None

    @property
    def problems(self) -> Sequence[str]:
        """The mistake in the file, if its last good content is in force."""
        return [str(self.problem)] if self.problem else []

    async def follow(self) -> None:
        """Follow changes of the file until cancelled, or until the system refuses to watch it."""
        try:
            async for news in watch(self.path, self.mesh):
                await self._take(news)
        except OSError as error:
            self.problem = error
            _log.error("%s is no longer watched: %s; restart the server to read it again", self.path, error)
            self._change()

    async def _take(self, news: Changed | Rejected) -> None:
        if isinstance(news, Rejected):
            self.problem = news.error
            _log.error("%s\nthe last good mesh stays in force", news.error)
            self._change()
            return
        self.problem = None
        for start in range(0, max(1, len(news.events)), _EVENTS_AT_ONCE):
            self._change(*news.events[start : start + _EVENTS_AT_ONCE])
            # Let the event loop serve Envoys and requests of the API in between.
            await asyncio.sleep(0)
        _log.info("read %s again; it changes %s", self.path, _listed(touched(news.events)))


class Registered(Source):
    """The deployments that were registered at run time, stored on disk.

    Invariant: a registration is on disk before it is confirmed or served.
    """

    def __init__(self, registry: Registry) -> None:
        mesh = Mesh.of(deployments=registry.all())
        super().__init__("registered", mesh, is_writable=True, status_field=None)
        self._registry = registry
        self._problem = StandingProblem(_log)
        # Changes take effect in the order in which they were written to disk.
        self._changing = asyncio.Lock()
        self._removal_due = asyncio.Event()

    @property
    def problems(self) -> Sequence[str]:
        """Failures to write to the disk."""
        return self._problem.lines

    async def add(self, deployment: OffloadedDeployment) -> None:
        """Store a deployment, or replace one of the same owner.

        Raises:
            OwnedByAnotherError: Another user has registered the name.
            StorageError: It could not be written to disk, and has no effect.
        """
        async with self._changing:
            await asyncio.to_thread(self._registry.add, deployment)
            self._change(DeploymentApplied(deployment))

    async def extend(self, service: str, name: str, expires: datetime) -> bool:
        """Change when a deployment expires; return False if it is not registered.

        Raises:
            StorageError: The change could not be written to disk, and has no effect.
        """
        found = self.mesh.deployment(service, name)
        if found:
            await self.add(replace(found, expires=expires))
        return found is not None

    async def remove(self, service: str, name: str) -> bool:
        """Remove a deployment; return False if it is not registered.

        Raises:
            StorageError: The removal could not be written to disk; the deployment stays.
        """
        async with self._changing:
            found = await asyncio.to_thread(self._registry.remove, service, name)
            self._change(DeploymentRemoved(service, name))
        return found

    def remove_expired(self) -> None:
        """Make `follow` remove expired deployments from disk."""
        self._removal_due.set()

    async def follow(self) -> None:
        """Remove expired deployments from disk when requested, until cancelled."""
        while True:
            await self._removal_due.wait()
            self._removal_due.clear()
            async with self._changing:
                expired = await self._remove_expired()
                self._change(*(DeploymentRemoved(*deployment.key) for deployment in expired))
            for deployment in expired:
                _log.info("%s has expired; owner: %s", deployment, deployment.owner or "none")

    async def _remove_expired(self) -> tuple[OffloadedDeployment, ...]:
        """Remove expired deployments from disk; they are no longer served even if that fails."""
        try:
            expired = await asyncio.to_thread(self._registry.remove_expired, datetime.now(UTC))
        except StorageError as error:
            self._problem.begin(f"expired deployments could not be removed from disk: {error}")
            return ()
        self._problem.end()
        return expired


def _listed(services: Collection[str]) -> str:
    shown, others = sorted(services)[:_NAMED_MAX], len(services) - _NAMED_MAX
    return (", ".join(shown) or "no service") + (f" and {others} more" if others > 0 else "")
