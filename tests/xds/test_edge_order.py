"""An edge and its mesh, in any order: no route leads to a cluster that the edge was not sent before."""

import re

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from detour.envoy.vocabulary import EDGE_ROUTES
from detour.mesh import (
    Endpoint,
    Mesh,
    MeshEvent,
    OffloadedDeployment,
    Scenarios,
    ScenariosApplied,
    Service,
    ServiceApplied,
    ServiceRemoved,
    Settings,
    SettingsApplied,
    apply,
)
from detour.overrides import parse_words
from detour.xds.catalog import CLUSTER, ENDPOINTS, ROUTES, Catalog, subjects
from detour.xds.holdings import Limits
from detour.xds.session import Session

SERVICES = [f"s{number}" for number in range(5)]
services = strategies.sampled_from(SERVICES)


class Edge:
    """What an Envoy does that is an edge, as far as the order of things goes."""

    def __init__(self, catalog: Catalog, held: dict[str, dict[str, str]]) -> None:
        self.session = Session(catalog, is_edge=True, limits=Limits(unbacked=2))
        self.held = held
        self.wants: dict[str, set[str]] = {CLUSTER: set(), ENDPOINTS: set(held[ENDPOINTS]), ROUTES: {EDGE_ROUTES}}
        self.unacknowledged: list[DeltaDiscoveryResponse] = []
        self.routed: set[str] = set()
        self.opened: list[str] = []

    def open(self) -> None:
        """Ask for the next type: clusters first, and what it holds is told."""
        type_url = (CLUSTER, ENDPOINTS, ROUTES)[len(self.opened)]
        self.opened.append(type_url)
        request = DeltaDiscoveryRequest(type_url=type_url, resource_names_subscribe=sorted(self.wants[type_url]))
        request.initial_resource_versions.update(self.held[type_url])
        if type_url != ENDPOINTS or self.wants[ENDPOINTS]:
            self.session.receive(request)

    def take(self) -> None:
        """Read a part of what the server has to say."""
        response = self.session.respond()
        if response is None:
            return
        self.unacknowledged.append(response)
        held = self.held[response.type_url]
        for name in response.removed_resources:
            held.pop(name, None)
        for resource in response.resources:
            held[resource.name] = resource.version
            if response.type_url == ROUTES:
                self.routed = named(resource.resource.value)
        if response.type_url == CLUSTER:
            self._follow({resource.name for resource in response.resources}, set(response.removed_resources))

    def acknowledge(self) -> None:
        """Take the oldest response."""
        response = self.unacknowledged.pop(0)
        self.session.receive(DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce))

    def ask(self, name: str) -> None:
        """Look for a cluster on demand."""
        self.wants[CLUSTER].add(name)
        self.session.receive(DeltaDiscoveryRequest(type_url=CLUSTER, resource_names_subscribe=[name]))

    def _follow(self, clusters: set[str], removed: set[str]) -> None:
        """Ask for the endpoints of new clusters, and no longer for those of old ones."""
        added = clusters - self.wants[ENDPOINTS]
        gone = removed & self.wants[ENDPOINTS]
        self.wants[ENDPOINTS] = (self.wants[ENDPOINTS] | added) - gone
        for name in gone:
            self.held[ENDPOINTS].pop(name, None)
        if ENDPOINTS in self.opened and (added or gone):
            self.session.receive(
                DeltaDiscoveryRequest(
                    type_url=ENDPOINTS,
                    resource_names_subscribe=sorted(added),
                    resource_names_unsubscribe=sorted(gone),
                )
            )


def named(table: bytes) -> set[str]:
    """Return the services that a route table leads to without looking for them."""
    # Some routes stand in extensions. On the wire a route's cluster is field 1, a string of two characters here.
    return {name.decode() for name in re.findall(rb"\n\x02(s[0-9])", table)}


class AnyOrder(RuleBasedStateMachine):
    """The mesh changes, and the edge connects, reads, acknowledges, asks and comes back, whenever they like."""

    @initialize(served=strategies.sets(services))
    def begin(self, served: set[str]) -> None:
        """Begin with a mesh, some of whose services are served."""
        known = [Service(name, (Endpoint("127.0.0.1", 9000),)) for name in SERVICES[:3]]
        self.catalog = Catalog(Mesh.of(known, [OffloadedDeployment("s0", "pr-1")]))
        self.edge = Edge(self.catalog, {CLUSTER: {}, ENDPOINTS: {}, ROUTES: {}})
        self.serve(served)

    @rule(served=strategies.sets(services), previewed=strategies.sets(services, max_size=2))
    def serve(self, served: set[str], previewed: set[str] = frozenset()) -> None:
        """Serve other services, and others on hosts of scenarios."""
        hosts = {f"{name}.test": name for name in sorted(served)}
        previews = {f"{name}.preview.test": name for name in sorted(previewed)}
        self._apply(SettingsApplied(Settings(edge_hosts=hosts, edge_previews=previews)))

    @rule(name=services, port=strategies.integers(1, 9))
    def add(self, name: str, port: int) -> None:
        """Bring a service, or change it."""
        self._apply(ServiceApplied(Service(name, (Endpoint("127.0.0.1", port),))))

    @rule(name=services)
    def remove(self, name: str) -> None:
        """Take a service away."""
        self._apply(ServiceRemoved(name))

    @rule(name=services)
    def choose(self, name: str) -> None:
        """Make a scenario."""
        self._apply(ScenariosApplied(Scenarios({"one": parse_words([f"{name}=pr-1"])})))

    @precondition(lambda self: len(self.edge.opened) < 3)
    @rule()
    def open(self) -> None:
        """Have the edge ask for its next type."""
        self.edge.open()

    @precondition(lambda self: self.edge.session.is_due)
    @rule()
    def take(self) -> None:
        """Have the edge read on."""
        self.edge.take()

    @precondition(lambda self: self.edge.unacknowledged)
    @rule()
    def acknowledge(self) -> None:
        """Have the edge acknowledge something."""
        self.edge.acknowledge()

    @precondition(lambda self: self.edge.opened)
    @rule(name=services, deployment=strategies.sampled_from(["", "@pr-1", "@made-up-1", "@made-up-2", "@new"]))
    def ask(self, name: str, deployment: str) -> None:
        """Have the edge look for a cluster."""
        self.edge.ask(name + deployment)

    @rule()
    def reconnect(self) -> None:
        """Have the edge come back, to a server that knows nothing of it."""
        named, routed = self.edge.wants[CLUSTER], self.edge.routed
        held = {type_url: dict(names) for type_url, names in self.edge.held.items()}
        self.edge = Edge(self.catalog, held)
        self.edge.wants[CLUSTER] = {"*", *named}
        self.edge.routed = routed

    @invariant()
    def every_cluster_is_there_that_routes_lead_to(self) -> None:
        """While an edge is connected, and holds routes, it holds their clusters."""
        if ROUTES in self.edge.opened and not self.edge.session.is_due:
            assert self.edge.routed <= self.edge.held[CLUSTER].keys()

    def teardown(self) -> None:
        """See that it ends well: all is read and acknowledged, and the edge has the mesh as it is."""
        while len(self.edge.opened) < 3:
            self.edge.open()
        while self.edge.session.is_due or self.edge.unacknowledged:
            while self.edge.session.is_due:
                self.edge.take()
            if self.edge.unacknowledged:
                self.edge.acknowledge()
        settings = self.catalog.mesh.settings
        served = {*settings.edge_hosts.values(), *settings.edge_previews.values()}
        assert self.edge.routed == served
        assert served <= self.edge.held[CLUSTER].keys() <= served | self.edge.wants[CLUSTER]

    def _apply(self, event: MeshEvent) -> None:
        touched = subjects([event])
        self.catalog.replace(apply(self.catalog.mesh, event), touched)
        if concerned := self.edge.session.subjects & touched:
            self.edge.session.changed(concerned)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
