"""What the server knows and does, whoever asks: the mesh in force, and the deployments made at run time.

Invariant: the mesh in force is that of the sources laid over each other, the first one on top, less the deployments
that have expired.
"""

import asyncio
import difflib
import logging
import time
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from detour.database import Change
from detour.mesh import (
    Endpoint,
    EndpointRules,
    Mesh,
    Naming,
    OffloadedDeployment,
)
from detour.offload.kubernetes.copying import Wanted
from detour.offload.kubernetes.progress import Progress
from detour.offload.ownership import expect_owner
from detour.server.book import ScenarioBook
from detour.server.events import Event, Events
from detour.server.expiry_clock import ExpiryClock
from detour.server.keyring import KeyRing
from detour.server.mesh_in_force import Additions, MeshChange, MeshInForce
from detour.server.sources import Source
from detour.server.switch import KIND, OverrideSwitch, UnkeptSwitch
from detour.server.trial import HeadersFor, by_baggage
from detour.traffic.calls import Seen
from detour.traffic.reports import Reports
from detour.xds.catalog import subjects
from detour.xds.server import AdsServer, NamespaceOf

_log = logging.getLogger(__name__)

_NAMED_MAX = 10
"""Of many services, so many are named to somebody who asked for one that does not exist."""

_CALLS_TOLD_SECONDS = 1.0
"""How often those who listen may be told that other calls are seen."""


class UnknownServiceError(LookupError):
    """The mesh has no service of that name; the message suggests one that it has."""


class UnreadServiceError(ValueError):
    """What a service speaks is passed on unread, so no override can choose one of its deployments."""


class DeploymentConflictError(ValueError):
    """Another source names that deployment, so it can't be changed here."""


class Keeper(Protocol):
    """Keeps the deployments that are registered at run time; one of the sources reads them back."""

    async def add(self, deployment: OffloadedDeployment) -> None:
        """Keep a deployment, or replace the owner's own.

        Raises:
            OwnedByAnotherError: Somebody else has registered the name.
            OSError: It could not be kept, and does not count.
        """

    async def extend(self, service: str, name: str, expires: datetime) -> bool:
        """Let a deployment live until another moment; False if nobody registered it.

        Raises:
            OSError: It could not be kept, and does not count.
        """

    async def remove(self, service: str, name: str) -> bool:
        """Take a deployment away; False if nobody registered it.

        Raises:
            OSError: It could not be taken away, and stays.
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
        """Say how one is coming on; None if there is none."""

    async def undo(self, service: str, name: str) -> str:
        """Take back what came to nothing; say what was done."""

    def log(self, service: str, name: str, *, tail: int, follow: bool) -> AsyncIterator[str]:
        """Yield the lines that its newest pod has written."""

    async def log_of(self, service: str, pod: str, container: str, tail: int) -> list[str]:
        """Return the last lines of one container."""


class ControlPlane:
    """The mesh in force, and the ADS server that serves it.

    Args:
        sources: Where it comes from; of two that have something by one name the earlier counts.
        keeper: Where deployments go that are registered at run time.
        copies: What makes deployments of images; None if there is no cluster.
        naming: Which service a host name means.
        namespace_of: Which namespace an Envoy is in, by what has been verified of it.
        book: The scenarios, and the log of changes; None if there is no database.
        keyring: The keys of override tokens; None if there is no database.
        rules: Where registered endpoints may be.
        switch: Whether overrides count at all, and where that is kept.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        keeper: Keeper,
        *,
        copies: Copies | None = None,
        naming: Naming | None = None,
        namespace_of: NamespaceOf | None = None,
        book: ScenarioBook | None = None,
        keyring: KeyRing | None = None,
        switch: OverrideSwitch | None = None,
        rules: EndpointRules | None = None,
    ) -> None:
        self.copies = copies
        self.book = book
        self.keyring = keyring
        self.switch = switch or UnkeptSwitch()
        self.events = Events()
        """What changes, for those who listen."""
        self._keeper = keeper
        self._allowed = rules or EndpointRules()
        self.listening: dict[Endpoint, str] = {}
        """What of the server's own listens where."""
        self.is_ready = False
        """Whether Envoys are served."""
        self.headers_for: HeadersFor = keyring.headers_for if keyring else by_baggage
        """What makes an edge believe the overrides of a request that somebody tries."""
        additions = Additions(
            naming or Naming(),
            lambda: self.switch.state.sentence,
            book.of_edges if book else lambda _now: None,
            keyring.signer.public if keyring else lambda _now: None,
        )
        self.in_force = MeshInForce(sources, additions, self._allowed)
        """The mesh in force, and who is to know of its changes."""
        self.reports = Reports(lambda: self.events.tell(Event("envoys")), lambda: self.mesh)
        """What Envoys report."""
        self.ads = AdsServer(self.mesh, namespace_of, lambda: self.events.tell(Event("envoys")), self.reports)
        self.in_force.subscribe(self._serve)
        self.in_force.subscribe(self.events.take_mesh)
        sources_ = self.in_force.sources
        self._clock = ExpiryClock(self.in_force.refresh, *(source.remove_expired for source in sources_))
        if book:
            book.records.listen(self._tell)

    @property
    def mesh(self) -> Mesh:
        """The mesh in force."""
        return self.in_force.mesh

    @property
    def sources(self) -> Sequence[Source]:
        """Where the mesh comes from."""
        return self.in_force.sources

    @property
    def failures(self) -> list[str]:
        """What does not work at the moment, beside a mesh file and a cluster: a line each."""
        built = self.ads.failures.items()
        return [
            *(problem for one in self.sources if not one.has_own_status for problem in one.problems),
            *(self.book.records.problems if self.book else ()),
            *(self.keyring.problems if self.keyring else ()),
            *([self.switch.problem] if self.switch.problem else ()),
            *self.in_force.refused,
            *(f"{key.name} could not be built, and stays as it was: {message}" for key, message in built),
        ]

    @property
    def _rules(self) -> EndpointRules:
        """Where registered endpoints may be: not where the server or an Envoy that is connected listens itself."""
        return replace(self._allowed, ports={**self.ads.listening, **self.listening})

    def source_of(self, deployment: OffloadedDeployment) -> str:
        """Say which source a deployment comes from."""
        found = self.in_force.source_of(*deployment.key)
        return found.name if found else ""

    def expect_service(self, name: str) -> None:
        """Check that the mesh has a service.

        Raises:
            UnknownServiceError: The mesh has no such service.
        """
        if name not in self.mesh.services:
            raise UnknownServiceError(f"the mesh has no service {name}; {_hint(name, self.mesh.services)}")

    def expect_readable(self, name: str) -> None:
        """Check that sidecars read what a service speaks; one that the mesh does not have may turn out to be so.

        Raises:
            UnreadServiceError: They do not.
        """
        service = self.mesh.services.get(name)
        if service and service.is_unread:
            raise UnreadServiceError(service.why_unread)

    async def register(self, deployment: OffloadedDeployment, by: str = "") -> None:
        """Serve a deployment, also after a restart.

        Args:
            deployment: Which.
            by: Who asks, for the log of changes.

        Raises:
            UnknownServiceError: The mesh has no such service.
            ForbiddenEndpointError: An endpoint may not be registered here.
            UnreadServiceError: No override could choose it.
            DeploymentConflictError: Another source names the deployment.
            OwnedByAnotherError: Somebody else has registered the name.
            OSError: It could not be kept, and is not served.
        """
        self.expect_service(deployment.service)
        self._rules.expect(deployment.endpoints)
        self.expect_readable(deployment.service)
        self._expect_kept(deployment.service, deployment.name)
        await self._keeper.add(deployment)
        await self._note(by, "registered", deployment.service, deployment.name)

    async def create(self, copies: Copies, wanted: Wanted, by: str = "") -> None:
        """Have a copy made; it is in the mesh from then on, and serves once it is Ready.

        Args:
            copies: What makes it.
            wanted: Which.
            by: Who asks, for the log of changes.

        Raises:
            UnknownServiceError: The mesh has no such service.
            UnreadServiceError: No override could choose it.
            DeploymentConflictError: Another source names the deployment.
            CannotCopyError: It can't be made as asked.
            OwnedByAnotherError: Somebody else has a deployment of that name.
            ClusterError: The cluster refuses.
        """
        self.expect_service(wanted.service)
        self.expect_readable(wanted.service)
        self._expect_kept(wanted.service, wanted.name)
        await copies.create(wanted)
        await self._note(by, "created", wanted.service, wanted.name)

    async def undo(self, copies: Copies, service: str, name: str, by: str = "") -> str:
        """Take back what came to nothing, as `Copies.undo` does; say what was done."""
        done = await copies.undo(service, name)
        await self._note(by, "undone", service, name)
        return done

    async def extend(
        self, service: str, name: str, expires: datetime, *, owner: str | None = None, by: str = ""
    ) -> bool:
        """Let a deployment live until another moment; False if there is none.

        Args:
            service: Of which service.
            name: Which.
            expires: Until when.
            owner: Who asks; None extends it whosever it is.
            by: The same, for the log of changes.

        Raises:
            DeploymentConflictError: Another source names the deployment.
            OwnedByAnotherError: It is somebody else's.
            OSError: It could not be kept, and does not count.
        """
        self._expect_kept(service, name)
        self._expect_owner(service, name, owner)
        found = await self._keeper.extend(service, name, expires)
        if found:
            await self._note(by, "extended", service, name)
        return found

    async def remove(self, service: str, name: str, *, owner: str | None = None, by: str = "") -> bool:
        """Take a deployment away; False if there is none.

        Args:
            service: Of which service.
            name: Which.
            owner: Who asks; None takes it away whosever it is.
            by: The same, for the log of changes.

        Raises:
            DeploymentConflictError: Another source names the deployment.
            OwnedByAnotherError: It is somebody else's.
            OSError: It could not be taken away, and stays.
        """
        self._expect_kept(service, name)
        self._expect_owner(service, name, owner)
        removed = await self._keeper.remove(service, name)
        if removed:
            await self._note(by, "removed", service, name)
        return removed

    async def follow(self) -> None:
        """Keep up with all sources, and with time, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for source in self.sources:
                tasks.create_task(source.follow())
            tasks.create_task(self._clock.run())
            tasks.create_task(self.switch.follow(self._switched))
            tasks.create_task(self._watch_calls())
            if self.book:
                tasks.create_task(self.book.records.follow())
            if self.keyring:
                tasks.create_task(self.keyring.follow())

    def _serve(self, change: MeshChange) -> None:
        if change.events:
            self.ads.update(change.mesh, subjects(change.events))

    async def switch_overrides(self, *, is_off: bool, reason: str, by: str) -> None:
        """Have the whole mesh ignore overrides, or honour them again.

        Raises:
            OSError: It could not be kept, and does not count.
        """
        await self.switch.switch(is_off=is_off, reason=reason, by=by)
        self._switched()

    def _switched(self) -> None:
        self.in_force.refresh()
        self.events.tell(Event(KIND))

    def calls(self) -> list[Seen]:
        """Return who called what lately, and have Envoys say more of it soon."""
        self.reports.look()
        return self.reports.calls.recent(time.time())

    async def _watch_calls(self) -> None:
        told: list[Seen] = []
        while True:
            await asyncio.sleep(_CALLS_TOLD_SECONDS)
            if len(self.events) and (found := self.calls()) != told:
                told = found
                self.events.tell(Event("calls"))

    async def _note(self, by: str, action: str, service: str, name: str) -> None:
        """Put what has been done to a deployment into the log of changes, and into the server's own.

        Raises:
            OSError: It could not be; the message says that the rest has been done.
        """
        _log.info("%s: %s@%s was %s", by or "nobody in particular", service, name, action)
        if self.book is None:
            return
        try:
            await self.book.records.note(by, action, "deployment", f"{service}@{name}")
        except OSError as error:
            raise OSError(
                f"{service}@{name} was {action}, but the log of changes has no entry of it: {error}"
            ) from error

    def _tell(self, changes: Sequence[Change]) -> None:
        self.in_force.refresh()
        for one in changes:
            self.events.tell(Event(one.kind, one.subject))

    def _expect_owner(self, service: str, name: str, owner: str | None) -> None:
        if (found := self.mesh.deployment(service, name)) and owner is not None:
            expect_owner(found, owner)

    def _expect_kept(self, service: str, name: str) -> None:
        for source in self.sources:
            if not source.is_writable and (service, name) in source.mesh.deployments:
                where = f"the {source.name}: change it there, in {source.location}"
                raise DeploymentConflictError(f"{service}@{name} is in {where}")


def _hint(name: str, known: Collection[str]) -> str:
    if close := difflib.get_close_matches(name.lower(), known, n=1):
        return f"did you mean {close[0]}?"
    if not known:
        return "it has none yet"
    shown, others = sorted(known)[:_NAMED_MAX], len(known) - _NAMED_MAX
    return f"it has {', '.join(shown)}" + (f" and {others} more" if others > 0 else "")
