"""The mesh in force: merges the sources, and sends the changes to subscribers.

Invariant: the mesh in force is the merge of its sources, where the first one takes precedence, without expired
deployments and forbidden endpoints. The cost of a change depends on the change, not on the size of the mesh.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from detour.mesh import (
    DeploymentApplied,
    DeploymentRemoved,
    EndpointRules,
    KeysApplied,
    Mesh,
    MeshEvent,
    Naming,
    OffloadedDeployment,
    PublicKey,
    Scenarios,
    ScenariosApplied,
    Settings,
    SettingsApplied,
    difference,
    merge,
    merged_events,
    update,
)
from detour.server.sources import Source
from detour.standing_problem import StandingProblems

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MeshChange:
    """A change of the mesh in force.

    Args:
        mesh: The mesh after the change.
        events: The changes, as `detour.mesh.difference` returns them; empty if only problems have changed.
        has_new_problems: Whether the problems of a source have changed.
    """

    mesh: Mesh
    events: tuple[MeshEvent, ...] = ()
    has_new_problems: bool = False


Subscriber = Callable[[MeshChange], None]


@dataclass(frozen=True, slots=True)
class Additions:
    """The parts of the mesh in force that do not come from sources.

    Args:
        naming: Maps host names to services.
        overrides_off: Returns why overrides are ignored; "" if they are honoured.
        scenarios: Returns the scenarios at a moment; None without a database.
        keys: Returns the keys of override tokens at a moment; None without a database.
    """

    naming: Naming = field(default_factory=Naming)
    overrides_off: Callable[[], str] = lambda: ""
    scenarios: Callable[[datetime], Scenarios | None] = lambda _now: None
    keys: Callable[[datetime], tuple[PublicKey, ...] | None] = lambda _now: None


class MeshInForce:
    """Owns the mesh in force.

    Args:
        sources: Its sources; for names that several sources have, the first one takes precedence.
        additions: Its other parts.
        rules: The networks and ports where registered endpoints may be.
    """

    def __init__(
        self, sources: Sequence[Source], additions: Additions | None = None, rules: EndpointRules | None = None
    ) -> None:
        self.sources: Final = tuple(sources)
        self._additions = additions or Additions()
        self._rules = rules or EndpointRules()
        self._subscribers: list[Subscriber] = []
        self._problems = {source.name: tuple(source.problems) for source in self.sources}
        self._expires: dict[tuple[str, str], datetime] = {}
        self._refused = StandingProblems(_log, logging.WARNING)
        self._mesh = Mesh()
        merged = merge(*(source.mesh for source in self.sources))
        self._mesh = update(self._mesh, self._effective(difference(self._mesh, merged))).mesh
        self.refresh()
        for source in self.sources:
            source.listen(self._take)

    @property
    def mesh(self) -> Mesh:
        """The mesh in force."""
        return self._mesh

    @property
    def refused(self) -> Sequence[str]:
        """The registered endpoints that are not served, with the reason: a line for each deployment."""
        return self._refused.lines

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call a function after each change; subscribers are called in the order of their subscription."""
        self._subscribers.append(subscriber)

    def source_of(self, service: str, name: str) -> Source | None:
        """Return the source of a deployment; None if no source has it."""
        return next((one for one in self.sources if (service, name) in one.mesh.deployments), None)

    def refresh(self) -> None:
        """Put into force the parts that do not come from sources, and expiries."""
        now = datetime.now(UTC)
        # An expired deployment ends here, on every server; its source removes it later.
        expired = [DeploymentRemoved(*key) for key, moment in self._expires.items() if moment <= now]
        settings = self.sources[0].mesh.settings if self.sources else self._mesh.settings
        self._change(
            (
                SettingsApplied(self._with_additions(settings)),
                ScenariosApplied(self._additions.scenarios(now)),
                KeysApplied(self._additions.keys(now)),
                *self._effective(expired),
            )
        )

    def _take(self, source: Source, events: Sequence[MeshEvent]) -> None:
        """Put into force a source's changes and problems."""
        # Only a problem that begins, changes or ends is reported to clients of the event stream.
        before, self._problems[source.name] = self._problems[source.name], tuple(source.problems)
        self._change(self._effective(events), has_new_problems=before != self._problems[source.name])

    def _change(self, events: Iterable[MeshEvent], *, has_new_problems: bool = False) -> None:
        self._mesh, effective = update(self._mesh, events)
        # A change that another source covers has no effect, and wakes no subscriber.
        if effective or has_new_problems:
            change = MeshChange(self._mesh, effective, has_new_problems)
            for subscriber in self._subscribers:
                subscriber(change)

    def _effective(self, events: Iterable[MeshEvent]) -> Iterator[MeshEvent]:
        """Translate events of one source into those of the mesh in force."""
        now = datetime.now(UTC)
        # The removal in one source may uncover a service or deployment of another one.
        for event in merged_events([source.mesh for source in self.sources], events):
            match event:
                case DeploymentApplied(deployment):
                    yield self._deployment(deployment, now)
                case DeploymentRemoved(service, name):
                    self._forget((service, name))
                    yield event
                case SettingsApplied(settings):
                    yield SettingsApplied(self._with_additions(settings))
                case _:
                    yield event

    def _deployment(self, deployment: OffloadedDeployment, now: datetime) -> DeploymentApplied | DeploymentRemoved:
        if deployment.expires and deployment.expires <= now:
            self._forget(deployment.key)
            return DeploymentRemoved(*deployment.key)
        if deployment.expires:
            self._expires[deployment.key] = deployment.expires
        else:
            self._expires.pop(deployment.key, None)
        return DeploymentApplied(self._with_allowed_endpoints(deployment))

    def _forget(self, key: tuple[str, str]) -> None:
        self._expires.pop(key, None)
        self._refused.end("@".join(key))

    def _with_allowed_endpoints(self, deployment: OffloadedDeployment) -> OffloadedDeployment:
        """Remove registered endpoints that the rules forbid: rules may have changed since the registration."""
        source = self.source_of(*deployment.key)
        # Only endpoints of a cluster's pods are listed by port, and they were not registered.
        is_registered = source is not None and source.is_writable and not deployment.ports
        refusals = {one: self._rules.refusal(one) for one in deployment.endpoints} if is_registered else {}
        if not any(refusals.values()):
            self._refused.end("@".join(deployment.key))
            return deployment
        endpoint, why = next((one, why) for one, why in refusals.items() if why)
        self._refused.begin("@".join(deployment.key), f"{deployment} is not served at {endpoint}: {why}")
        return replace(deployment, endpoints=tuple(one for one, why in refusals.items() if not why))

    def _with_additions(self, settings: Settings) -> Settings:
        off = self._additions.overrides_off()
        return replace(settings, naming=self._additions.naming, overrides_off=off)
