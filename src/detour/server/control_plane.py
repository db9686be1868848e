"""What the server knows and does, whoever asks: the mesh in force, and the deployments registered at run time.

Invariant: the mesh in force is the mesh file's, then the deployments registered at run time that it does not name
itself, less those that have expired. A registration is on disk before it is answered or served.
"""

import asyncio
import difflib
import logging
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from detour.discovery.mesh_file import Changed, MeshFileError, Rejected, watch
from detour.mesh import (
    DeploymentApplied,
    DeploymentRemoved,
    Event,
    Mesh,
    OffloadedDeployment,
    SettingsApplied,
    apply,
    difference,
    merge,
    touched,
)
from detour.offload.registry import Registry
from detour.xds.server import AdsServer

_EXPIRY_CHECK_SECONDS = 1.0
"""How late an expired deployment may be taken away."""

_NAMED_MAX = 10
"""Of many services, so many are named to somebody who asked for one that does not exist."""

_log = logging.getLogger(__name__)


class UnknownServiceError(LookupError):
    """The mesh has no service of that name; the message suggests one that it has."""


class DeploymentConflictError(ValueError):
    """The mesh file names that deployment, so it can't be registered or removed at run time."""


class ControlPlane:
    """The mesh in force, and the ADS server that serves it.

    Args:
        path: The mesh file.
        mesh: What it said when it was read.
        registry: Deployments registered at run time.
    """

    def __init__(self, path: Path, mesh: Mesh, registry: Registry) -> None:
        self.path = path
        self.problem: MeshFileError | OSError | None = None
        self._disk_problem: OSError | None = None
        self._file = mesh
        self._registry = registry
        self._registered = Mesh.of(deployments=registry.all())
        # Changes of the registry take effect in the order in which they are on disk.
        self._registering = asyncio.Lock()
        self.ads = AdsServer(self._in_force())

    @property
    def mesh(self) -> Mesh:
        """The mesh in force."""
        return self.ads.catalog.mesh

    @property
    def failures(self) -> list[str]:
        """What does not work at the moment, beside the mesh file: a line each."""
        disk = [f"expired deployments stay on disk: {self._disk_problem}"] if self._disk_problem else []
        built = self.ads.catalog.failures.items()
        return [
            *disk,
            *(f"{key.name} could not be built, and stays as it was: {message}" for key, message in built),
        ]

    def is_in_file(self, deployment: OffloadedDeployment) -> bool:
        """Say whether the mesh file names the deployment, rather than somebody at run time."""
        return deployment.key in self._file.deployments

    async def register(self, deployment: OffloadedDeployment) -> None:
        """Serve a deployment, also after a restart.

        Raises:
            UnknownServiceError: The mesh has no such service.
            DeploymentConflictError: The mesh file names the deployment.
            OwnedByAnotherError: Somebody else has registered the name.
            OSError: It could not be put on disk, and is not served.
        """
        self._expect_service(deployment.service)
        self._expect_not_in_file(deployment.service, deployment.name)
        async with self._registering:
            await asyncio.to_thread(self._registry.add, deployment)
            self._publish_registered(DeploymentApplied(deployment))

    async def remove(self, service: str, name: str) -> bool:
        """Take a deployment away; False if nobody registered it.

        Raises:
            DeploymentConflictError: The mesh file names the deployment.
            OSError: The disk could not be written; the deployment stays.
        """
        self._expect_not_in_file(service, name)
        async with self._registering:
            found = await asyncio.to_thread(self._registry.remove, service, name)
            self._publish_registered(DeploymentRemoved(service, name))
        return found

    async def follow_file(self) -> None:
        """Keep up with the mesh file until cancelled, or until the system refuses to watch it."""
        try:
            async for news in watch(self.path, self._file):
                self._take(news)
        except OSError as error:
            self.problem = error
            _log.error("%s is no longer watched: %s; restart the server to read it again", self.path, error)

    def _take(self, news: Changed | Rejected) -> None:
        if isinstance(news, Rejected):
            self.problem = news.error
            _log.error("%s\nthe mesh stays as it was before that change", news.error)
            return
        self._file, self.problem = apply(self._file, *news.events), None
        self._publish()
        changed = ", ".join(sorted(touched(news.events))) or "no service"
        _log.info("%s was read again; it changes %s", self.path, changed)

    async def expire(self) -> None:
        """Take deployments away whose time is over, until cancelled."""
        while True:
            await asyncio.sleep(_EXPIRY_CHECK_SECONDS)
            async with self._registering:
                expired = await self._remove_expired()
                self._publish_registered(*(DeploymentRemoved(*deployment.key) for deployment in expired))
            for deployment in expired:
                _log.info("%s of %s has expired", deployment, deployment.owner or "nobody")

    async def _remove_expired(self) -> tuple[OffloadedDeployment, ...]:
        """Remove from disk what has expired; what can't be removed is no longer served all the same."""
        try:
            expired = await asyncio.to_thread(self._registry.remove_expired, datetime.now(UTC))
        except OSError as error:
            if self._disk_problem is None:
                _log.error("expired deployments stay on disk: %s", error)
            self._disk_problem = error
            return ()
        self._disk_problem = None
        return expired

    def _publish_registered(self, *events: Event) -> None:
        self._registered = apply(self._registered, *events)
        self._publish()

    def _publish(self) -> None:
        mesh = self._in_force()
        events = difference(self.mesh, mesh)
        if events:
            has_settings = any(isinstance(event, SettingsApplied) for event in events)
            self.ads.update(mesh, touched(events) | ({""} if has_settings else set()))

    def _in_force(self) -> Mesh:
        merged = merge(self._file, self._registered)
        return Mesh(merged.services, _unexpired(merged.deployments), merged.settings)

    def _expect_service(self, name: str) -> None:
        if name not in self.mesh.services:
            raise UnknownServiceError(f"the mesh has no service {name}; {_hint(name, self.mesh.services)}")

    def _expect_not_in_file(self, service: str, name: str) -> None:
        if (service, name) in self._file.deployments:
            raise DeploymentConflictError(f"{service}@{name} is in the mesh file: change it there, in {self.path}")


def _hint(name: str, known: Collection[str]) -> str:
    if close := difflib.get_close_matches(name.lower(), known, n=1):
        return f"did you mean {close[0]}?"
    if not known:
        return "the mesh file names none"
    shown, others = sorted(known)[:_NAMED_MAX], len(known) - _NAMED_MAX
    return f"it has {', '.join(shown)}" + (f" and {others} more" if others > 0 else "")


def _unexpired(
    deployments: Mapping[tuple[str, str], OffloadedDeployment],
) -> Mapping[tuple[str, str], OffloadedDeployment]:
    now = datetime.now(UTC)
    return MappingProxyType(
        {key: one for key, one in deployments.items() if one.expires is None or one.expires > now}
    )
