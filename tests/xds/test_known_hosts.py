"""Transcripts of a sidecar's route table: which hosts it names, and when."""

import pytest
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from detour.envoy.vocabulary import OUTBOUND_MANAGER, OUTBOUND_ROUTES
from detour.mesh import Endpoint, Mesh, OffloadedDeployment, Service
from detour.xds.catalog import CLUSTER, ENDPOINTS, FILTERS, ROUTES, Catalog
from detour.xds.known_hosts import KnownHosts
from detour.xds.session import Session

USERS = Service("users", (Endpoint("127.0.0.1", 9001),))
PAYMENTS = Service("payments", (Endpoint("127.0.0.1", 9002),))
PR_42 = OffloadedDeployment("users", "pr-42", (Endpoint("127.0.0.1", 9101),))


class Sidecar:
    """A client that subscribes to what it is told to, and acknowledges all that it is sent."""

    def __init__(self, catalog: Catalog) -> None:
        self.session = Session(catalog)
        self.held: dict[str, dict[str, str]] = {CLUSTER: {}, ENDPOINTS: {}, ROUTES: {}, FILTERS: {}}
        self.hosts: list[str] = []
        self.tables = 0

    def ask(self, type_url: str, *names: str) -> None:
        """Subscribe to names."""
        self._send(DeltaDiscoveryRequest(type_url=type_url, resource_names_subscribe=names))

    def call(self, name: str) -> None:
        """Do what Envoy does at the first call of a host."""
        self.ask(CLUSTER, name)
        self.ask(ENDPOINTS, name)

    def connect_again(self, catalog: Catalog) -> None:
        """Begin a new stream, to a server that may be another."""
        self.session = Session(catalog)
        for type_url in (ROUTES, CLUSTER, ENDPOINTS):
            held = self.held[type_url]
            self._send(
                DeltaDiscoveryRequest(
                    type_url=type_url, resource_names_subscribe=held, initial_resource_versions=held
                )
            )

    def _send(self, request: DeltaDiscoveryRequest) -> None:
        self.session.receive(request)
        self.settle()

    def settle(self) -> None:
        """Take everything that is due."""
        while self.session.is_due:
            if response := self.session.respond():
                self._take(response)

    def _take(self, response: DeltaDiscoveryResponse) -> None:
        for one in response.resources:
            self.held[response.type_url][one.name] = one.version
            if response.type_url == ROUTES:
                table = RouteConfiguration.FromString(one.resource.value)
                self.hosts = [host.name for host in table.virtual_hosts[1:]]
                self.tables += 1
        self.session.receive(DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce))


@pytest.fixture
def catalog() -> Catalog:
    """Return the catalog of a mesh of two services, one with an offloaded deployment."""
    return Catalog(Mesh.of([USERS, PAYMENTS], [PR_42]))


@pytest.fixture
def sidecar(catalog: Catalog) -> Sidecar:
    """Return a sidecar that has its route table."""
    made = Sidecar(catalog)
    made.ask(ROUTES, OUTBOUND_ROUTES)
    return made


def test_a_service_is_named_once_its_endpoints_are_there(sidecar: Sidecar) -> None:
    """Before that a request would find no cluster."""
    sidecar.ask(CLUSTER, "users")
    assert sidecar.hosts == []
    sidecar.ask(ENDPOINTS, "users")
    assert sidecar.hosts == ["users"]
    sidecar.call("payments:8080")
    assert sidecar.hosts == ["payments:8080", "users"]


@pytest.mark.parametrize("name", ["users@pr-42", "connect@users", "Users", "elsewhere.test", "users@gone"])
def test_only_services_are_named(sidecar: Sidecar, name: str) -> None:
    """Neither deployments nor hosts outside; a name in capitals is another cluster of a host that is the same."""
    sidecar.call(name)
    assert (sidecar.hosts, sidecar.tables) == ([], 1)


def test_a_service_that_leaves_the_mesh_is_named_no_longer(catalog: Catalog, sidecar: Sidecar) -> None:
    """Its cluster may be withdrawn from then on."""
    sidecar.call("users")
    sidecar.call("payments")
    catalog.replace(Mesh.of([PAYMENTS], []), {"users"})
    sidecar.session.changed({"users"})
    sidecar.settle()
    assert sidecar.hosts == ["payments"]


def test_whoever_connects_again_keeps_its_table_until_that_changes(sidecar: Sidecar) -> None:
    """Another server finds out what the sidecar has, and then names all of it."""
    sidecar.call("users")
    tables, other = sidecar.tables, Catalog(Mesh.of([USERS, PAYMENTS], [PR_42]))
    sidecar.connect_again(other)
    assert (sidecar.tables, sidecar.hosts) == (tables, ["users"])
    sidecar.call("payments")
    assert sidecar.hosts == ["payments", "users"]


def test_the_manager_comes_after_the_table(catalog: Catalog) -> None:
    """A connection manager without a route table would answer 404."""
    session = Session(catalog)
    for type_url, name in ((FILTERS, OUTBOUND_MANAGER), (ROUTES, OUTBOUND_ROUTES)):
        session.receive(DeltaDiscoveryRequest(type_url=type_url, resource_names_subscribe=[name]))
    first, second = session.respond(), session.respond()
    assert (first.type_url, second.type_url) == (ROUTES, FILTERS)


def test_the_manager_waits_for_the_table(catalog: Catalog) -> None:
    """Also where it is asked for, and answered, before the table."""
    sidecar = Sidecar(catalog)
    sidecar.ask(FILTERS, OUTBOUND_MANAGER)
    assert sidecar.held[FILTERS] == {}
    sidecar.ask(ROUTES, OUTBOUND_ROUTES)
    assert list(sidecar.held[FILTERS]) == [OUTBOUND_MANAGER]


def test_five_hundred_hosts_are_named() -> None:
    """The first ones that the sidecar had; with so many there is nothing to look for."""
    hosts = [f"s{number:03}" for number in range(501)]
    services = [Service(host, (Endpoint("127.0.0.1", 9001),)) for host in hosts]
    known = KnownHosts(Catalog(Mesh.of(services)))
    held = {one: dict.fromkeys(hosts, "1") for one in (CLUSTER, ENDPOINTS)}
    fewer = {one: dict.fromkeys(hosts[:499], "1") for one in (CLUSTER, ENDPOINTS)}
    assert known.are_more(["s000"], fewer) is True
    assert known.name(fewer) == tuple(hosts[:499])
    assert known.are_more(["s498"], fewer) is False
    assert known.are_more(["s499"], held) is True
    assert known.name(held) == tuple(hosts[:500])
    assert known.are_more(["s500"], held) is False


def test_hosts_that_are_no_services_any_more() -> None:
    """Of those that the table names, and that have changed."""
    catalog = Catalog(Mesh.of([USERS, PAYMENTS]))
    known = KnownHosts(catalog)
    held = {one: {"users:80": "1", "payments": "1"} for one in (CLUSTER, ENDPOINTS)}
    assert known.are_fewer(["users"]) is False
    assert known.name({}) == ()
    assert known.are_fewer(["users"]) is False
    assert known.name(held) == ("payments", "users:80")
    catalog.replace(Mesh.of([PAYMENTS]), {"users"})
    assert [known.are_fewer([subject]) for subject in ("users", "payments", "other")] == [True, False, False]
