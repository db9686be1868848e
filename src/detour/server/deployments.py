"""The operations on offloaded deployments, with their permissions.

Invariant: each operation checks the permissions of its caller, over HTTP and within this process.
"""

import difflib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from detour.access import Identity, Role
from detour.database import StorageError
from detour.mesh import EndpointRules, Mesh, OffloadedDeployment
from detour.offload.kubernetes.copying import Wanted
from detour.offload.kubernetes.progress import Progress
from detour.offload.ownership import expect_owner
from detour.server.mesh_in_force import MeshInForce
from detour.server.sources import Source

_log = logging.getLogger(__name__)

_NAMED_MAX: Final = 10
"""Maximum number of services listed in an unknown-service error."""

Note = Callable[[str, str, str, str], Awaitable[None]]
"""Writes an entry of the log of changes: who, action, kind, subject."""


class UnknownServiceError(LookupError):
    """The mesh has no service of that name; the message suggests an existing one."""


class UnreadServiceError(ValueError):
    """Sidecars forward the service's traffic unread, so no override can choose one of its deployments."""


class DeploymentConflictError(ValueError):
    """A source that is not writable has a deployment of that name."""


class NoClusterError(ValueError):
    """The server has no Kubernetes cluster to create copies in."""

    def __init__(self) -> None:
        super().__init__(
            "this server has no Kubernetes cluster: start instances yourself, and register them with offload add"
        )


class DeploymentKeeper(Protocol):
    """Stores the deployments that are registered at run time; it is one of the sources, or feeds one."""

    async def add(self, deployment: OffloadedDeployment) -> None:
        """Store a deployment, or replace one of the same owner.

        Raises:
            OwnedByAnotherError: Another user has registered the name.
            StorageError: It could not be stored, and has no effect.
        """

    async def extend(self, service: str, name: str, expires: datetime) -> bool:
        """Change when a deployment expires; return False if it is not registered.

        Raises:
            StorageError: The change could not be stored, and has no effect.
        """

    async def remove(self, service: str, name: str) -> bool:
        """Remove a deployment; return False if it is not registered.

        Raises:
            StorageError: It could not be removed, and stays.
        """


class Copies(Protocol):
    """Creates copies of baselines with another image; one of the sources then finds them."""

    async def create(self, wanted: Wanted) -> Sequence[str]:
        """Create a copy, or roll it; return what its owner should know, a line each.

        Raises:
            CannotCopyError: The baseline cannot be copied in this way.
            OwnedByAnotherError: Another user has a deployment of that name.
            ClusterError: The cluster refuses.
        """

    async def progress(self, service: str, name: str) -> Progress | None:
        """Return the progress of a copy; None if it does not exist."""

    async def undo(self, service: str, name: str) -> str:
        """Undo the last change of a copy; return what was done, as text for people."""

    def log(self, service: str, name: str, *, tail: int, follow: bool) -> AsyncIterator[str]:
        """Yield the log lines of a copy's newest pod."""

    async def log_of(self, service: str, pod: str, container: str, tail: int) -> list[str]:
        """Return the last log lines of one container."""


@dataclass(frozen=True, slots=True)
class NewCopy:
    """A copy that was created.

    Args:
        deployment: The copy.
        notes: What its owner should know, a line each.
    """

    deployment: OffloadedDeployment
    notes: Sequence[str]


class DeploymentOperations:
    """The operations on deployments.

    Args:
        in_force: The mesh in force.
        keeper: Stores deployments that are registered at run time.
        copies: Creates deployments from images; None without a cluster.
        rules: Returns the current rules for registered endpoints.
        note: Writes to the log of changes.
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
        """Return a deployment of the mesh in force; None if it does not exist."""
        return self._mesh.deployment(service, name)

    def source_of(self, deployment: OffloadedDeployment) -> Source | None:
        """Return the source of a deployment; None if no source has it."""
        return self._in_force.source_of(*deployment.key)

    async def register(self, caller: Identity, deployment: OffloadedDeployment) -> OffloadedDeployment:
        """Register a deployment, so that it is served, also after restarts; return it with its owner.

        Args:
            caller: The user who requests it.
            deployment: The deployment. Admins may name another owner; other callers become the owner.

        Raises:
            ForbiddenError: The caller is only a viewer.
            UnknownServiceError: The mesh has no such service.
            ForbiddenEndpointError: An endpoint may not be registered here.
            UnreadServiceError: No override could choose it.
            DeploymentConflictError: Another source has a deployment of that name.
            OwnedByAnotherError: Another user has registered the name.
            StorageError: It could not be stored, and is not served.
        """
        caller.expect(Role.DEVELOPER)
        deployment = replace(deployment, owner=caller.acting_as(deployment.owner) or "")
        self._expect_service(deployment.service)
        self._rules().expect(deployment.endpoints)
        self._expect_readable(deployment.service)
        self._expect_changeable(deployment.service, deployment.name)
        await self._keeper.add(deployment)
        await self._log_change(caller, "registered", deployment.service, deployment.name)
        return deployment

    async def create(self, caller: Identity, wanted: Wanted) -> NewCopy:
        """Create a copy, and return it; it serves requests once it is Ready.

        Args:
            caller: The user who requests it.
            wanted: The copy. Admins may name another owner; other callers become the owner.

        Raises:
            ForbiddenError: The caller is only a viewer.
            NoClusterError: The server has no cluster.
            UnknownServiceError: The mesh has no such service.
            UnreadServiceError: No override could choose it.
            DeploymentConflictError: Another source has a deployment of that name.
            CannotCopyError: The baseline cannot be copied in this way.
            OwnedByAnotherError: Another user has a deployment of that name.
            ClusterError: The cluster refuses.
        """
        caller.expect(Role.DEVELOPER)
        copies = self._expect_copies()
        wanted = replace(wanted, owner=caller.acting_as(wanted.owner) or "")
        self._expect_service(wanted.service)
        self._expect_readable(wanted.service)
        self._expect_changeable(wanted.service, wanted.name)
        notes = await copies.create(wanted)
        await self._log_change(caller, "created", wanted.service, wanted.name)
        made = OffloadedDeployment(wanted.service, wanted.name, owner=wanted.owner, expires=wanted.expires)
        return NewCopy(self.find(*made.key) or made, notes)

    async def extend(
        self, caller: Identity, service: str, name: str, expires: datetime, owner: str | None = None
    ) -> OffloadedDeployment | None:
        """Change when a deployment expires; return the changed deployment, or None if it does not exist.

        Args:
            caller: The user who requests it.
            service: The deployment's service.
            name: The deployment.
            expires: When it expires.
            owner: The user as which an admin acts; without it, admins can change the deployments of all owners.

        Raises:
            ForbiddenError: The caller is only a viewer.
            DeploymentConflictError: Its source is not writable.
            OwnedByAnotherError: Another user owns it.
            StorageError: The change could not be stored, and has no effect.
        """
        caller.expect(Role.DEVELOPER)
        found = self.find(service, name)
        if found is None:
            return None
        self._expect_changeable(service, name)
        self._expect_owner(caller, found, owner)
        if not await self._keeper.extend(service, name, expires):
            return None
        await self._log_change(caller, "extended", service, name)
        return replace(found, expires=expires)

    async def remove(self, caller: Identity, service: str, name: str, owner: str | None = None) -> bool:
        """Remove a deployment; return False if it does not exist.

        Args:
            caller: The user who requests it.
            service: The deployment's service.
            name: The deployment.
            owner: The user as which an admin acts; without it, admins can remove the deployments of all owners.

        Raises:
            ForbiddenError: The caller is only a viewer.
            DeploymentConflictError: Its source is not writable.
            OwnedByAnotherError: Another user owns it.
            StorageError: It could not be removed, and stays.
        """
        caller.expect(Role.DEVELOPER)
        self._expect_changeable(service, name)
        if found := self.find(service, name):
            self._expect_owner(caller, found, owner)
        removed = await self._keeper.remove(service, name)
        if removed:
            await self._log_change(caller, "removed", service, name)
        return removed

    async def undo(self, caller: Identity, service: str, name: str) -> str:
        """Undo the last change of a copy: restore the copy that worked before it, or remove the copy.

        Returns:
            What was done, as text for people.

        Raises:
            ForbiddenError: The caller is neither the owner nor an admin.
            NoClusterError: The server has no cluster.
            ClusterError: The cluster refuses.
        """
        caller.expect(Role.DEVELOPER)
        if found := self.find(service, name):
            caller.expect_owner(str(found), found.owner)
        done = await self._expect_copies().undo(service, name)
        await self._log_change(caller, "undone", service, name)
        return done

    async def progress(self, service: str, name: str) -> Progress | None:
        """Return the progress of a copy; None if the deployment is not a copy.

        Raises:
            ClusterError: The cluster refuses.
        """
        return await self._copies.progress(service, name) if self._copies else None

    def log(self, service: str, name: str, *, tail: int, follow: bool) -> AsyncIterator[str]:
        """Yield the log lines of a copy's newest pod.

        Raises:
            NoClusterError: The server has no cluster.
            ClusterError: The cluster refuses.
        """
        return self._expect_copies().log(service, name, tail=tail, follow=follow)

    async def log_of(self, service: str, pod: str, container: str, tail: int) -> list[str]:
        """Return the last log lines of one container of a copy.

        Raises:
            NoClusterError: The server has no cluster.
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
        # Services that the mesh does not have yet are accepted, even if their traffic turns out not to be HTTP.
        service = self._mesh.services.get(name)
        if service and service.is_unread:
            raise UnreadServiceError(service.why_unread)

    def _expect_changeable(self, service: str, name: str) -> None:
        for source in self._in_force.sources:
            if not source.is_writable and (service, name) in source.mesh.deployments:
                where = f"the {source.name}, {source.location}"
                raise DeploymentConflictError(f"{service}@{name} is defined in {where}: change it there")

    def _expect_owner(self, caller: Identity, found: OffloadedDeployment, owner: str | None) -> None:
        acting_as = caller.acting_as(owner)
        if acting_as is not None:
            expect_owner(found, acting_as)

    async def _log_change(self, caller: Identity, action: str, service: str, name: str) -> None:
        """Log a change that has taken effect, in the log of changes and in the server's own.

        Raises:
            StorageError: It could not be logged; the message says that the change has taken effect.
        """
        _log.info("%s: %s@%s was %s", caller.name, service, name, action)
        try:
            await self._note(caller.name, action, "deployment", f"{service}@{name}")
        except StorageError as error:
            raise StorageError(
                f"{service}@{name} was {action}, but the log of changes could not be written: {error}"
            ) from error


def _hint(name: str, known: Collection[str]) -> str:
    if close := difflib.get_close_matches(name.lower(), known, n=1):
        return f"did you mean {close[0]}?"
    if not known:
        return "it has none yet"
    shown, others = sorted(known)[:_NAMED_MAX], len(known) - _NAMED_MAX
    return f"it has {', '.join(shown)}" + (f" and {others} more" if others > 0 else "")
