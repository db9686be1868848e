"""The parts of a server, connected: who owns what, who subscribes to what, and what runs.

Invariant: wiring alone. The mesh in force, the operations and the streams to Envoys have modules of their own.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from detour.database import Change
from detour.mesh import Endpoint, EndpointRules, Mesh, Naming
from detour.server.deployments import Copies, DeploymentKeeper, DeploymentOperations
from detour.server.events import Event, Events
from detour.server.expiry_clock import ExpiryClock
from detour.server.keyring import KeyRing
from detour.server.mesh_in_force import Additions, MeshChange, MeshInForce
from detour.server.scenario_book import ScenarioBook
from detour.server.scenarios import ScenarioOperations
from detour.server.sources import Source
from detour.server.switch import OverrideSwitch, SwitchOperations, UnkeptSwitch
from detour.server.tokens import OverrideTokenOperations
from detour.server.trials import TrialOperations, by_baggage
from detour.server.watched_calls import WatchedCalls
from detour.traffic.reporter import EDGE
from detour.traffic.reports import Reports
from detour.xds.catalog import subjects
from detour.xds.server import AdsServer, NamespaceOf


class ControlPlane:
    """All parts of a server but its sockets.

    Args:
        sources: Where the mesh comes from; of two that have something by one name the earlier counts.
        keeper: Where deployments go that are registered at run time.
        copies: What makes deployments of images; None if there is no cluster.
        naming: Which service a host name means.
        namespace_of: Which namespace an Envoy is in, by what has been verified of it.
        book: The scenarios; None if there is no database.
        keyring: The keys of override tokens; None if there is no database.
        rules: Where registered endpoints may be.
        switch: Whether overrides count at all, and where that is kept.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        keeper: DeploymentKeeper,
        *,
        copies: Copies | None = None,
        naming: Naming | None = None,
        namespace_of: NamespaceOf | None = None,
        book: ScenarioBook | None = None,
        keyring: KeyRing | None = None,
        switch: OverrideSwitch | None = None,
        rules: EndpointRules | None = None,
    ) -> None:
        self.is_ready = False
        """Whether Envoys are served."""
        self.listening: dict[Endpoint, str] = {}
        """Where the server itself listens, and for what."""
        self.book = book
        self._keyring = keyring
        self._switch = switch or UnkeptSwitch()
        self._rules = rules or EndpointRules()
        additions = Additions(
            naming or Naming(),
            lambda: self._switch.state.sentence,
            book.of_edges if book else lambda _now: None,
            keyring.signer.public if keyring else lambda _now: None,
        )
        self.in_force = MeshInForce(sources, additions, self._rules)
        self.events = Events()
        """What changes, for those who listen."""
        self.reports = Reports(self._envoys_changed, lambda: self.mesh)
        """What Envoys report."""
        self.ads = AdsServer(self.mesh, namespace_of, self._envoys_changed, self.reports)
        # Envoys first: a client that learns of a change finds it in force.
        self.in_force.subscribe(self._serve)
        self.in_force.subscribe(self.events.take_mesh)
        self.calls = WatchedCalls(self.reports, self.events)
        self.deployments = DeploymentOperations(self.in_force, keeper, copies, self._rules_now, self._note)
        self.scenarios = ScenarioOperations(book, lambda: self.mesh if self.is_ready else None)
        self.override_tokens = OverrideTokenOperations(keyring)
        headers_for = keyring.headers_for if keyring else by_baggage
        self.trials = TrialOperations(lambda: self.mesh, self.reports.trials, self._has_edge, headers_for)
        self.switch = SwitchOperations(self._switch, self.in_force, self.events)
        if book:
            book.database.listen(self._take_changes)

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
        """What does not work at the moment, a line each, without sources that have a status field of their own."""
        return [
            *(problem for one in self.sources if one.status_field is None for problem in one.problems),
            *(self.book.database.problems if self.book else ()),
            *(self._keyring.problems if self._keyring else ()),
            *([self._switch.problem] if self._switch.problem else ()),
            *self.in_force.refused,
            *(
                f"{key.name} could not be built, and stays as it was: {why}"
                for key, why in self.ads.failures.items()
            ),
        ]

    async def switch_is_known(self) -> None:
        """Wait until it is known whether overrides count."""
        await self._switch.is_known.wait()

    async def follow(self) -> None:
        """Keep up with all sources, with other servers, and with time, until cancelled."""
        clock = ExpiryClock(self.in_force.refresh, *(source.remove_expired for source in self.sources))
        async with asyncio.TaskGroup() as tasks:
            for source in self.sources:
                tasks.create_task(source.follow())
            tasks.create_task(clock.run())
            tasks.create_task(self.switch.follow())
            tasks.create_task(self.calls.follow())
            if self.book:
                tasks.create_task(self.book.database.follow())
            if self._keyring:
                tasks.create_task(self._keyring.follow())

    def _serve(self, change: MeshChange) -> None:
        if change.events:
            self.ads.update(change.mesh, subjects(change.events))

    def _take_changes(self, changes: Sequence[Change]) -> None:
        """Take over what this server or another has written into the database."""
        self.in_force.refresh()
        for one in changes:
            self.events.tell(Event(one.kind, one.subject))

    def _envoys_changed(self) -> None:
        self.events.tell(Event("envoys"))

    def _has_edge(self) -> bool:
        return any(one.role == EDGE for one in self.ads.connections)

    def _rules_now(self) -> EndpointRules:
        """Return where endpoints may be: not where the server or a connected Envoy listens itself."""
        return replace(self._rules, ports={**self.ads.listening, **self.listening})

    async def _note(self, who: str, action: str, kind: str, subject: str) -> None:
        if self.book:
            await self.book.database.note(who, action, kind, subject)
