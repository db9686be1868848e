"""What may be done with offloaded deployments at run time, and by whom.

Invariant: each operation checks that its caller may do it, whether the caller comes by HTTP or from this process.
"""

import difflib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import replace
from datetime import datetime
from typing import Final, Protocol

from detour.access import Identity, Role
from detour.database import StorageError
from detour.mesh import EndpointRules, Mesh, OffloadedDeployment
from detour.offload.kubernetes.copying import Wanted
from detour.offload.kubernetes.progress import Progress
from detour.offload.ownership import expect_owner
from detour.server.mesh_in_force import MeshInForce

_log = logging.getLogger(__name__)

_NAMED_MAX: Final = 10
"""Maximum number of services listed in an unknown-service error."""

Note = Callable[[str, str, str, str], Awaitable[None]]
"""Writes into the log of changes: who did what to which kind of thing, and which one."""


class UnknownServiceError(LookupError):
    """The mesh has no service of that name; the message suggests one that it has."""


class UnreadServiceError(ValueError):
    """Sidecars pass on the service's traffic unread, so no override can choose one of its deployments."""


class DeploymentConflictError(ValueError):
    """A source that is not writable has a deployment of that name."""


class NoClusterError(ValueError):
    """The server has no Kubernetes cluster to make copies in."""

    def __init__(self) -> None:
        super().__init__(
            "this server has no Kubernetes cluster: start instances yourself, and register them with offload add"
        )


class DeploymentKeeper(Protocol):
    """Keeps the deployments that are registered at run time; it is one of the sources, or feeds one."""

    async def add(self, deployment: OffloadedDeployment) -> None:
        """Keep a deployment, or replace the owner's own.

        Raises:
            OwnedByAnotherError: Somebody else has registered the name.
            StorageError: It could not be kept, and does not count.
        """

    async def extend(self, service: str, name: str, expires: datetime) -> bool:
        """Change when a deployment expires; False if it is not registered.

        Raises:
            StorageError: It could not be kept, and does not count.
        """

    async def remove(self, service: str, name: str) -> bool:
        """Remove a deployment; False if it is not registered.

        Raises:
            StorageError: It could not be removed, and stays.
        """


class Copies(Protocol):
    """Makes copies of baselines, with another image; one of the sources reads them back."""

    async def create(self, wanted: Wanted) -> None:
        """Make one, or roll it.

        Raises:
            CannotCopyError: It can't be made as asked.
            OwnedByAnotherError: Somebody else has a deployment of that name.
            ClusterError: The cluster refuses.
        """

    async def progress(self, service: str, name: str) -> Progress | None:
        """Return how far one is; None if there is none."""

    async def undo(self, service: str, name: str) -> str:
        """Undo a change that failed; return what was done, for people."""

    def log(self, service: str, name: str, *, tail: int, follow: bool) -> AsyncIterator[str]:
        """Yield the lines that its newest pod has written."""

    async def log_of(self, service: str, pod: str, container: str, tail: int) -> list[str]:
        """Return the last lines of one container."""


class DeploymentOperations:
    """The operations on deployments.

    Args:
        in_force: The mesh in force.
        keeper: Where deployments go that are registered at run time.
        copies: What makes deployments of images; None if there is no cluster.
        rules: Returns where registered endpoints may be at this moment.
        note: Writes into the log of changes.
    """

    def __init__(
        self,
        in_force: MeshInForce,
        keeper: DeploymentKeeper,
        copies: Copies | None,
        rules: Callable[[], EndpointRules],
        note: Note,
    ) -> None:
        self._in_force = in_force
        self._keeper = keeper
        self._copies = copies
        self._rules = rules
        self._note = note

    def find(self, service: str, name: str) -> OffloadedDeployment | None:
        """Return a deployment of the mesh in force; None if there is none."""
        return self._mesh.deployment(service, name)

    def source_name(self, deployment: OffloadedDeployment) -> str:
        """Return the name of the source that a deployment comes from; "" if none has it."""
        found = self._in_force.source_of(*deployment.key)
        return found.name if found else ""

    async def register(self, caller: Identity, deployment: OffloadedDeployment) -> OffloadedDeployment:
        """Serve a deployment, also after a restart; return it as it is now.

        Args:
            caller: Who asks.
            deployment: Which; an admin may name another owner, everybody else becomes the owner.

        Raises:
            ForbiddenError: The caller is only a viewer.
            UnknownServiceError: The mesh has no such service.
            ForbiddenEndpointError: An endpoint may not be registered here.
            UnreadServiceError: No override could choose it.
            DeploymentConflictError: Another source has a deployment of that name.
            OwnedByAnotherError: Somebody else has registered the name.
            StorageError: It could not be kept, and is not served.
        """
        caller.expect(Role.DEVELOPER)
        deployment = replace(deployment, owner=caller.speaking_for(deployment.owner) or "")
        self._expect_service(deployment.service)
        self._rules().expect(deployment.endpoints)
        self._expect_readable(deployment.service)
        self._expect_changeable(deployment.service, deployment.name)
        await self._keeper.add(deployment)
        await self._noted(caller, "registered", deployment.service, deployment.name)
        return deployment

    async def create(self, caller: Identity, wanted: Wanted) -> OffloadedDeployment:
        """Have a copy made: it is in the mesh from then on, and serves once it is Ready; return it.

        Args:
            caller: Who asks.
            wanted: Which; an admin may name another owner, everybody else becomes the owner.

        Raises:
            ForbiddenError: The caller is only a viewer.
            NoClusterError: There is no cluster.
            UnknownServiceError: The mesh has no such service.
            UnreadServiceError: No override could choose it.
            DeploymentConflictError: Another source has a deployment of that name.
            CannotCopyError: It can't be made as asked.
            OwnedByAnotherError: Somebody else has a deployment of that name.
            ClusterError: The cluster refuses.
        """
        caller.expect(Role.DEVELOPER)
        copies = self._expect_copies()
        wanted = replace(wanted, owner=caller.speaking_for(wanted.owner) or "")
        self._expect_service(wanted.service)
        self._expect_readable(wanted.service)
        self._expect_changeable(wanted.service, wanted.name)
        await copies.create(wanted)
        await self._noted(caller, "created", wanted.service, wanted.name)
        made = OffloadedDeployment(wanted.service, wanted.name, owner=wanted.owner, expires=wanted.expires)
        return self.find(*made.key) or made

    async def extend(
        self, caller: Identity, service: str, name: str, expires: datetime, owner: str | None = None
    ) -> OffloadedDeployment | None:
        """Change when a deployment expires; return it as it is now, None if there is none.

        Args:
            caller: Who asks.
            service: The deployment's service.
            name: The deployment.
            expires: When it is to expire.
            owner: For whom an admin asks; without it, an admin changes everybody's.

        Raises:
            ForbiddenError: The caller is only a viewer.
            DeploymentConflictError: It comes from a source that is not writable.
            OwnedByAnotherError: It is somebody else's.
            StorageError: It could not be kept, and does not count.
        """
        caller.expect(Role.DEVELOPER)
        found = self.find(service, name)
        if found is None:
            return None
        self._expect_changeable(service, name)
        self._expect_owner(caller, found, owner)
        if not await self._keeper.extend(service, name, expires):
            return None
        await self._noted(caller, "extended", service, name)
        return replace(found, expires=expires)

    async def remove(self, caller: Identity, service: str, name: str, owner: str | None = None) -> bool:
        """Remove a deployment; False if there is none.

        Args:
            caller: Who asks.
            service: The deployment's service.
            name: The deployment.
            owner: For whom an admin asks; without it, an admin removes everybody's.

        Raises:
            ForbiddenError: The caller is only a viewer.
            DeploymentConflictError: It comes from a source that is not writable.
            OwnedByAnotherError: It is somebody else's.
            StorageError: It could not be removed, and stays.
        """
        caller.expect(Role.DEVELOPER)
        self._expect_changeable(service, name)
        if found := self.find(service, name):
            self._expect_owner(caller, found, owner)
        removed = await self._keeper.remove(service, name)
        if removed:
            await self._noted(caller, "removed", service, name)
        return removed

    async def undo(self, caller: Identity, service: str, name: str) -> str:
        """Undo a change that failed: the copy that worked before is back, or else removed; return what was done.

        Raises:
            ForbiddenError: The caller is neither the owner nor an admin.
            NoClusterError: There is no cluster.
            ClusterError: The cluster refuses.
        """
        caller.expect(Role.DEVELOPER)
        if found := self.find(service, name):
            caller.expect_owner(str(found), found.owner)
        done = await self._expect_copies().undo(service, name)
        await self._noted(caller, "undone", service, name)
        return done

    async def progress(self, service: str, name: str) -> Progress | None:
        """Return how far a copy is; None if it is none.

        Raises:
            ClusterError: The cluster refuses.
        """
        return await self._copies.progress(service, name) if self._copies else None

    def log(self, service: str, name: str, *, tail: int, follow: bool) -> AsyncIterator[str]:
        """Yield the lines that a copy's newest pod has written.

        Raises:
            NoClusterError: There is no cluster.
            ClusterError: The cluster refuses.
        """
        return self._expect_copies().log(service, name, tail=tail, follow=follow)

    async def log_of(self, service: str, pod: str, container: str, tail: int) -> list[str]:
        """Return the last lines of one container of a copy.

        Raises:
            NoClusterError: There is no cluster.
            ClusterError: The cluster refuses.
        """
        return await self._expect_copies().log_of(service, pod, container, tail)

    @property
    def _mesh(self) -> Mesh:
        return self._in_force.mesh

    def _expect_copies(self) -> Copies:
        if self._copies is None:
            raise NoClusterError
        return self._copies

    def _expect_service(self, name: str) -> None:
        services = self._mesh.services
        if name not in services:
            raise UnknownServiceError(f"the mesh has no service {name}; {_hint(name, services)}")

    def _expect_readable(self, name: str) -> None:
        # A service that is registered before the mesh has it may turn out to be unread later.
        service = self._mesh.services.get(name)
        if service and service.is_unread:
            raise UnreadServiceError(service.why_unread)

    def _expect_changeable(self, service: str, name: str) -> None:
        for source in self._in_force.sources:
            if not source.is_writable and (service, name) in source.mesh.deployments:
                where = f"the {source.name}: change it there, in {source.location}"
                raise DeploymentConflictError(f"{service}@{name} is in {where}")

    def _expect_owner(self, caller: Identity, found: OffloadedDeployment, owner: str | None) -> None:
        acting_as = caller.speaking_for(owner)
        if acting_as is not None:
            expect_owner(found, acting_as)

    async def _noted(self, caller: Identity, action: str, service: str, name: str) -> None:
        """Write what has been done into the log of changes, and into the server's own.

        Raises:
            StorageError: It could not be written; the message says that the rest has been done.
        """
        _log.info("%s: %s@%s was %s", caller.name, service, name, action)
        try:
            await self._note(caller.name, action, "deployment", f"{service}@{name}")
        except StorageError as error:
            raise StorageError(
                f"{service}@{name} was {action}, but the log of changes has no entry of it: {error}"
            ) from error


def _hint(name: str, known: Collection[str]) -> str:
    if close := difflib.get_close_matches(name.lower(), known, n=1):
        return f"did you mean {close[0]}?"
    if not known:
        return "it has none yet"
    shown, others = sorted(known)[:_NAMED_MAX], len(known) - _NAMED_MAX
    return f"it has {', '.join(shown)}" + (f" and {others} more" if others > 0 else "")
