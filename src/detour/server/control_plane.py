"""The wiring of a server's parts: ownership, subscriptions, and background tasks.

Invariant: this module contains only wiring. The mesh in force, the operations and the streams to Envoys have their
own modules.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from detour.database import Change
from detour.mesh import Endpoint, EndpointRules, Mesh, Naming
from detour.server.deployments import Copies, DeploymentKeeper, DeploymentOperations
from detour.server.events import Events, LiveEvent
from detour.server.expiry_clock import ExpiryClock
from detour.server.keyring import KeyRing
from detour.server.mesh_in_force import Additions, MeshChange, MeshInForce
from detour.server.scenario_book import ScenarioBook
from detour.server.scenarios import ScenarioOperations
from detour.server.sources import Source
from detour.server.switch import MemorySwitch, OverrideSwitch, SwitchOperations
from detour.server.tokens import OverrideTokenOperations
from detour.server.trials import TrialOperations, by_baggage
from detour.server.watched_calls import WatchedCalls
from detour.traffic.reporter import EDGE
from detour.traffic.reports import Reports
from detour.xds.catalog import subjects
from detour.xds.server import AdsServer, NamespaceOf, ServiceOf


class ControlPlane:
    """All parts of a server except its sockets.

    Args:
        sources: The sources of the mesh; for names that several sources have, the first one takes precedence.
        keeper: Stores deployments that are registered at run time.
        copies: Creates deployments from images; None without a cluster.
        naming: Maps host names to services.
        namespace_of: Returns the namespace in an Envoy's verified certificate.
        book: The scenarios; None without a database.
        keyring: The keys of override tokens; None without a database.
        switch: The kill switch, and its storage.
        rules: The networks and ports where registered endpoints may be.
        service_of: Returns the service of a sidecar; by default the one that its bootstrap names.
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
        service_of: ServiceOf | None = None,
    ) -> None:
        self.is_ready = False
        """Whether the server serves Envoys."""
        self.listening: dict[Endpoint, str] = {}
        """The server's own listening addresses, and their purposes."""
        self.book = book
        self._keyring = keyring
        self._switch = switch or MemorySwitch()
        self._rules = rules or EndpointRules()
        additions = Additions(
            naming or Naming(),
            lambda: self._switch.state.explanation,
            book.for_edges if book else lambda _now: None,
            keyring.signer.public if keyring else lambda _now: None,
        )
        self.in_force = MeshInForce(sources, additions, self._rules)
        self.events = Events()
        """Live events about changes."""
        self.reports = Reports(self._envoys_changed, lambda: self.mesh)
        """The reports of Envoys."""
        self.ads = AdsServer(self.mesh, namespace_of, self._envoys_changed, self.reports, service_of)
        # Envoys first: when a client receives an event, the change is already in force.
        self.in_force.subscribe(self._serve)
        self.in_force.subscribe(self.events.publish_mesh_change)
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
        """The sources of the mesh."""
        return self.in_force.sources

    @property
    def failures(self) -> list[str]:
        """Current problems, a line each, without those of sources with their own status field."""
        return [
            *(problem for one in self.sources if one.status_field is None for problem in one.problems),
            *(self.book.database.problems if self.book else ()),
            *(self._keyring.problems if self._keyring else ()),
            *self._switch.problems,
            *self.in_force.refused,
            *(
                f"the resource {key.name} could not be built, and did not change: {why}"
                for key, why in self.ads.failures.items()
            ),
        ]

    async def switch_is_known(self) -> None:
        """Wait until the position of the kill switch is known."""
        await self._switch.is_known.wait()

    async def follow(self) -> None:
        """Follow all sources and the database, and expire things, until cancelled."""
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
        """Put into force what this server or another one has written to the database."""
        self.in_force.refresh()
        for one in changes:
            self.events.publish(LiveEvent(one.kind, one.subject))

    def _envoys_changed(self) -> None:
        self.events.publish(LiveEvent("envoys"))

    def _has_edge(self) -> bool:
        return any(one.role == EDGE for one in self.ads.connections)

    def _rules_now(self) -> EndpointRules:
        """Return the rules for endpoints, which exclude ports of the server itself and of connected Envoys."""
        return replace(self._rules, ports={**self.ads.listening, **self.listening})

    async def _note(self, who: str, action: str, kind: str, subject: str) -> None:
        if self.book:
            await self.book.database.note(who, action, kind, subject)
