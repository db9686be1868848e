"""Transcripts of delta xDS: what an Envoy says, and what it is answered."""

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from conversation import Conversation, ack, ask, nack, names
from detour.envoy.vocabulary import EDGE_ROUTES
from detour.mesh import (
    Endpoint,
    Mesh,
    OffloadedDeployment,
    Port,
    Service,
    ServiceApplied,
    ServiceRemoved,
    Settings,
    SettingsApplied,
    apply,
)
from detour.xds.catalog import _BUILDERS, CLUSTER, EDGES, ENDPOINTS, FILTERS, ROUTES, SETTINGS, Catalog, Key
from detour.xds.holdings import Limits
from detour.xds.names import Target
from detour.xds.rejections import Rejection
from detour.xds.session import Session

USERS = Service("users", (Endpoint("127.0.0.1", 9001),))
PAYMENTS = Service("payments", (Endpoint("127.0.0.1", 9002),))
PR_42 = OffloadedDeployment("users", "pr-42", (Endpoint("127.0.0.1", 9101),))


@pytest.fixture
def catalog() -> Catalog:
    """Return the catalog of a mesh of two services, one with an offloaded deployment."""
    return Catalog(Mesh.of([USERS, PAYMENTS], [PR_42]))


@pytest.fixture
def session(catalog: Catalog) -> Conversation:
    """Return a conversation that has not begun."""
    return Conversation(catalog)


def test_the_opening_subscriptions_to_everything_are_answered_once_and_empty(session: Conversation) -> None:
    """Envoy opens with a subscription without names, and waits until it is answered."""
    (response,) = session.receive(ask(CLUSTER))
    assert names([response]) == [("Cluster", [])]
    assert session.receive(ack(response)) == []


def test_a_name_is_answered_when_it_is_asked_for(session: Conversation) -> None:
    """On demand: the cluster, then its endpoints, and nothing else."""
    assert names(session.receive(ask(CLUSTER, "users"))) == [("Cluster", ["users"])]
    assert names(session.receive(ask(ENDPOINTS, "users"))) == [("ClusterLoadAssignment", ["users"])]


def test_a_name_that_is_asked_for_again_is_answered_again(session: Conversation) -> None:
    """An Envoy that asks waits; what was sent before may have been dropped."""
    session.receive(ask(CLUSTER, "users"))
    assert names(session.receive(ask(CLUSTER, "users"))) == [("Cluster", ["users"])]


@pytest.mark.parametrize(
    "name", ["users@never", "nobody@pr-42", "outside.test:8080", "connect@users:1", "@", " ", "x" * 600]
)
def test_no_name_stays_unanswered(session: Conversation, name: str) -> None:
    """A name without meaning gets a cluster too: silence would cost the request the whole on-demand timeout."""
    (response,) = session.receive(ask(CLUSTER, name))
    assert [one.name for one in response.resources] == [name]
    assert not response.removed_resources


def test_acknowledged_versions_are_known(session: Conversation, catalog: Catalog) -> None:
    """What an Envoy acknowledged is what `status` shows; until then the response is pending."""
    (response,) = session.receive(ask(CLUSTER, "users"))
    assert session.session.pending == 1
    assert session.session.acknowledged[CLUSTER] == {}
    session.receive(ack(response))
    assert session.session.pending == 0
    assert session.session.acknowledged[CLUSTER] == {"users": catalog.resource(Key(CLUSTER, "users")).version}


def test_a_rejection_is_kept_and_the_version_is_not_sent_again(session: Conversation, catalog: Catalog) -> None:
    """An Envoy keeps its last good version; sending the bad one again would only repeat the rejection."""
    (response,) = session.receive(ask(CLUSTER, "users", "payments"))
    assert session.receive(nack(response, "no such filter")) == []
    (rejection,) = session.session.rejections
    assert (rejection.names, rejection.message) == (("users", "payments"), "no such filter")
    assert session.session.acknowledged[CLUSTER] == {}
    assert session.changed({"users"}) == []


def test_a_rejection_is_over_once_a_later_version_is_acknowledged(session: Conversation, catalog: Catalog) -> None:
    """What was mended is no longer reported."""
    (response,) = session.receive(ask(CLUSTER, "users"))
    session.receive(nack(response, "no"))
    catalog.replace(Mesh.of([Service("users", USERS.endpoints, protocol="http2")]), {"users"})
    (again,) = session.changed({"users"})
    session.receive(ack(again))
    assert session.session.rejections == ()


def test_a_nonce_that_is_not_in_flight_says_nothing(session: Conversation) -> None:
    """Stale and made-up nonces neither acknowledge nor reject."""
    (response,) = session.receive(ask(CLUSTER, "users"))
    session.receive(ack(response))
    made_up = DeltaDiscoveryRequest(type_url=CLUSTER, response_nonce="77")
    made_up.error_detail.message = "no"
    assert session.receive(nack(response, "too late")) == []
    assert session.receive(made_up) == []
    assert session.session.rejections == ()


def test_a_change_is_sent_to_those_who_asked_and_nothing_more(session: Conversation, catalog: Catalog) -> None:
    """A new instance of one service is one endpoint update."""
    for type_url in (CLUSTER, ENDPOINTS):
        session.receive(ask(type_url, "users", "payments"))
    more = Service("users", (*USERS.endpoints, Endpoint("127.0.0.1", 9009)))
    catalog.replace(Mesh.of([more, PAYMENTS], [PR_42]), {"users"})
    assert names(session.changed({"users"})) == [("ClusterLoadAssignment", ["users"])]
    assert session.changed({"users"}) == []


def test_a_new_deployment_is_sent_to_nobody_who_never_asked(session: Conversation, catalog: Catalog) -> None:
    """The fleet hears nothing of an offloaded deployment, not even the users of its service."""
    for type_url in (CLUSTER, ENDPOINTS):
        session.receive(ask(type_url, "users"))
    catalog.replace(Mesh.of([USERS, PAYMENTS], [PR_42, OffloadedDeployment("users", "pr-43")]), {"users"})
    assert session.changed({"users"}) == []


def test_a_deployment_that_comes_goes_and_returns_is_an_endpoint_update_each_time(
    session: Conversation, catalog: Catalog
) -> None:
    """Its cluster stays: removing one would make Envoy wait out the on-demand timeout."""
    for type_url in (CLUSTER, ENDPOINTS):
        session.receive(ask(type_url, "users@pr-42"))
    for deployments, endpoints in (([], 0), ([PR_42], 1)):
        catalog.replace(Mesh.of([USERS], deployments), {"users"})
        (response,) = session.changed({"users"})
        assert names([response]) == [("ClusterLoadAssignment", ["users@pr-42"])]
        assert len(response.resources[0].resource.value.split(b"127.0.0.1")) - 1 == endpoints
        assert not response.removed_resources


def test_an_updated_cluster_is_followed_by_its_endpoints_even_if_they_are_the_same(
    session: Conversation, catalog: Catalog
) -> None:
    """Envoy keeps an updated cluster warming until it hears of its endpoints."""
    for type_url in (CLUSTER, ENDPOINTS):
        session.receive(ask(type_url, "users"))
    catalog.replace(Mesh.of([Service("users", USERS.endpoints, protocol="http2")]), {"users"})
    assert names(session.changed({"users"})) == [("Cluster", ["users"]), ("ClusterLoadAssignment", ["users"])]


def test_a_reconnecting_envoy_is_sent_only_what_it_lacks(catalog: Catalog) -> None:
    """Versions are made of content, so those of another server, or of one before a restart, count."""
    version = catalog.resource(Key(CLUSTER, "users")).version
    session = Conversation(catalog)
    (response,) = session.receive(ask(CLUSTER, "users", "payments", held={"users": version, "payments": "old"}))
    assert names([response]) == [("Cluster", ["payments"])]
    assert session.session.acknowledged[CLUSTER] == {"users": version, "payments": "old"}


def test_what_a_reconnecting_envoy_claims_to_hold_is_kept_up_to_date(catalog: Catalog) -> None:
    """A change after a reconnect reaches an Envoy that was sent nothing since."""
    session = Conversation(catalog)
    held = {name: catalog.resource(Key(ENDPOINTS, name)).version for name in ("users",)}
    session.receive(ask(ENDPOINTS, "users", held=held))
    catalog.replace(Mesh.of([Service("users")]), {"users"})
    assert names(session.changed({"users"})) == [("ClusterLoadAssignment", ["users"])]


def test_an_unsubscribed_name_is_not_kept_up_to_date(session: Conversation, catalog: Catalog) -> None:
    """What an Envoy no longer wants it no longer gets."""
    session.receive(ask(ENDPOINTS, "users"))
    session.receive(DeltaDiscoveryRequest(type_url=ENDPOINTS, resource_names_unsubscribe=["users", "never-asked"]))
    catalog.replace(Mesh.of([Service("users")]), {"users"})
    assert session.changed({"users"}) == []


def test_a_route_table_that_does_not_exist_is_answered_as_removed(session: Conversation) -> None:
    """The wrong name in somebody's own bootstrap must not leave an Envoy waiting."""
    (response,) = session.receive(ask(ROUTES, "outbound", "nonsense"))
    assert names([response]) == [("RouteConfiguration", ["outbound"])]
    assert list(response.removed_resources) == ["nonsense"]


def test_a_type_that_is_not_served_is_answered_with_nothing(session: Conversation) -> None:
    """An Envoy that asks for secrets hears that there are none, and nothing breaks."""
    (response,) = session.receive(
        ask("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret", "cert")
    )
    assert list(response.removed_resources) == ["cert"]


def test_made_up_clusters_are_bounded_and_the_oldest_withdrawn(catalog: Catalog) -> None:
    """Overrides that name nothing can't fill an Envoy's memory; what the mesh has is never withdrawn."""
    session = Conversation(catalog, limits=Limits(unbacked=2))
    for name in ("users", "users@pr-42", "users@a", "users@b"):
        assert len(session.receive(ask(CLUSTER, name))) == 1
    (withdrawn,) = session.receive(ask(CLUSTER, "users@c"))
    assert list(withdrawn.removed_resources) == ["users@a"]
    assert names(session.receive(ask(CLUSTER, "users@a"))[:1]) == [("Cluster", ["users@a"])]


def test_a_withdrawn_name_is_sent_once_the_mesh_has_it(catalog: Catalog) -> None:
    """Envoy doesn't ask again for what it was sent and lost."""
    session = Conversation(catalog, limits=Limits(unbacked=1))
    for name in ("users@a", "users@b"):
        session.receive(ask(CLUSTER, name))
    catalog.replace(Mesh.of([Service("users")], [PR_42]), {"users"})
    assert names(session.changed({"users"})) == []
    catalog.replace(Mesh.of([Service("users")], [OffloadedDeployment("users", "a")]), {"users"})
    assert names(session.changed({"users"})) == [("Cluster", ["users@a"])]
    assert session.changed({"users"}) == []


def test_a_made_up_cluster_that_has_become_real_is_not_withdrawn(catalog: Catalog) -> None:
    """A deployment may be asked for before it is registered."""
    session = Conversation(catalog, limits=Limits(unbacked=1))
    session.receive(ask(CLUSTER, "users@pr-43"))
    catalog.replace(Mesh.of([USERS], [OffloadedDeployment("users", "pr-43")]), {"users"})
    assert len(session.receive(ask(CLUSTER, "users@a"))) == 1
    (withdrawn,) = session.receive(ask(CLUSTER, "users@b"))
    assert list(withdrawn.removed_resources) == ["users@a"]


def test_a_resource_that_cannot_be_built_stays_as_it_was(
    session: Conversation, catalog: Catalog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault in one translation is reported, and harms nothing that runs."""
    session.receive(ask(CLUSTER, "users", "payments"))

    def broken(_name: str, _target: Target, _mesh: Mesh) -> None:
        raise ValueError("not to be built")

    monkeypatch.setitem(_BUILDERS, CLUSTER, broken)
    catalog.replace(Mesh.of([Service("users", protocol="http2"), PAYMENTS]), {"users"})
    assert session.changed({"users"}) == []
    assert catalog.failures == {Key(CLUSTER, "users"): "not to be built"}
    assert "could not be built" in caplog.text


@pytest.fixture
def edge(catalog: Catalog) -> Conversation:
    """Return an edge's conversation, which serves users and has its routes."""
    _serve(catalog, "users")
    session = Conversation(catalog, is_edge=True)
    for response in session.receive(ask(CLUSTER)):
        session.receive(ack(response))
    for key in (Key(ENDPOINTS, "users"), Key(ROUTES, EDGE_ROUTES)):
        (response,) = session.receive(ask(*key))
        session.receive(ack(response))
    return session


def _serve(catalog: Catalog, *services: str, previews: dict[str, str] | None = None) -> None:
    """Have edges serve services, each on a host of its own."""
    settings = Settings(
        edge_hosts={f"{service}.test": service for service in services}, edge_previews=previews or {}
    )
    catalog.replace(apply(catalog.mesh, SettingsApplied(settings)), {SETTINGS, EDGES})


def test_what_an_edge_serves_is_not_withdrawn_even_if_the_mesh_does_not_have_it(catalog: Catalog) -> None:
    """The edge requested the name before it served it, and requests others afterwards."""
    edge = Conversation(catalog, is_edge=True, limits=Limits(unbacked=1))
    edge.receive(ask(CLUSTER, "*", "later"))
    _serve(catalog, "later")
    edge.changed({SETTINGS, EDGES})
    (answer,) = edge.receive(ask(CLUSTER, "users@a"))
    assert (names([answer]), list(answer.removed_resources)) == ([("Cluster", ["users@a"])], [])


def test_an_edge_that_asks_for_everything_gets_the_services_that_it_serves(catalog: Catalog) -> None:
    """Before its routes, so that none leads to what it does not know; by a star as well as by no name at all."""
    _serve(catalog, "users", "payments")
    for request in (ask(CLUSTER), ask(CLUSTER, "*"), ask(CLUSTER, "*", "users")):
        (response,) = Conversation(catalog, is_edge=True).receive(request)
        assert sorted(one.name for one in response.resources) == ["payments", "users"]
    held = {name: catalog.resource(Key(CLUSTER, name)).version for name in ("users", "payments")}
    assert names(Conversation(catalog, is_edge=True).receive(ask(CLUSTER, held=held))) == [("Cluster", [])]


@pytest.mark.parametrize("type_url", [CLUSTER, ENDPOINTS, ROUTES, FILTERS])
def test_a_sidecar_that_asks_for_everything_gets_nothing(catalog: Catalog, type_url: str) -> None:
    """However it asks, and whatever edges serve; it gets what it names, and hears of no change of anything else."""
    _serve(catalog, "users", "payments")
    for wildcard in (ask(type_url), ask(type_url, "*")):
        session = Conversation(catalog)
        (response,) = session.receive(wildcard)
        assert (list(response.resources), list(response.removed_resources)) == ([], [])
        session.receive(ack(response))
        _serve(catalog, "payments")
        assert session.changed({SETTINGS, EDGES, "users", "payments"}) == []
        _serve(catalog, "users", "payments")
        assert session.changed({SETTINGS, EDGES, "users", "payments"}) == []
        assert session.session.cluster_count == 0


def test_a_sidecar_that_asks_for_everything_and_a_name_gets_the_name(catalog: Catalog) -> None:
    """Nothing else of what edges serve."""
    _serve(catalog, "users", "payments")
    assert names(Conversation(catalog).receive(ask(CLUSTER, "*", "users"))) == [("Cluster", ["users"])]


def test_the_services_of_previews_are_sent_before_the_routes_that_lead_there(
    edge: Conversation, catalog: Catalog
) -> None:
    """As those of hosts are: by a wildcard, and when they come while the edge runs."""
    previews = {"preview.test": "payments"}
    _serve(catalog, "users", previews=previews)
    (response,) = edge.changed({SETTINGS, EDGES})
    assert names([response]) == [("Cluster", ["payments"])]
    (endpoints,) = edge.receive(ask(ENDPOINTS, "payments"))
    (routes,) = edge.receive(ack(endpoints))
    assert names([routes]) == [("RouteConfiguration", [EDGE_ROUTES])]
    for one in (response, routes):
        assert edge.receive(ack(one)) == []
    (response,) = Conversation(catalog, is_edge=True).receive(ask(CLUSTER))
    assert sorted(one.name for one in response.resources) == ["payments", "users"]
    _serve(catalog, previews=previews)
    (routes,) = edge.changed({SETTINGS, EDGES})
    assert names([routes]) == [("RouteConfiguration", [EDGE_ROUTES])]
    (removed,) = edge.receive(ack(routes))
    assert (removed.type_url, list(removed.removed_resources)) == (CLUSTER, ["users"])


@pytest.mark.parametrize("made_up", ["elsewhere{}.test", "elsewhere{}.test:443", "users@gone{}", "other@pr-{}"])
def test_clusters_that_stand_for_nothing_are_withdrawn(catalog: Catalog, made_up: str) -> None:
    """Hosts outside the mesh as well as deployments that there are none of."""
    session = Conversation(catalog, limits=Limits(unbacked=2))
    for name in (made_up.format(0), made_up.format(1), "users", "users@pr-42", "payments:8080"):
        (response,) = session.receive(ask(CLUSTER, name))
        assert not response.removed_resources
    (response,) = session.receive(ask(CLUSTER, made_up.format(2)))
    assert list(response.removed_resources) == [made_up.format(0)]


def test_an_edge_hears_of_its_services_changes(edge: Conversation, catalog: Catalog) -> None:
    """As of what it asked for by name."""
    more = Service("users", (*USERS.endpoints, Endpoint("127.0.0.1", 9009)))
    catalog.replace(apply(catalog.mesh, ServiceApplied(more)), {"users"})
    assert names(edge.changed({"users"})) == [("ClusterLoadAssignment", ["users"])]


def test_routes_wait_for_the_endpoints_of_a_service_that_an_edge_newly_serves(
    edge: Conversation, catalog: Catalog
) -> None:
    """A route that leads to a cluster that is still warming would be a 503."""
    _serve(catalog, "users", "payments")
    (response,) = edge.changed({SETTINGS, EDGES})
    assert names([response]) == [("Cluster", ["payments"])]
    assert edge.changed({SETTINGS, EDGES}) == []
    (endpoints,) = edge.receive(ask(ENDPOINTS, "payments"))
    assert edge.receive(ack(response)) == []
    assert names(edge.receive(ack(endpoints))) == [("RouteConfiguration", [EDGE_ROUTES])]
    _serve(catalog, "payments")
    assert names(edge.changed({SETTINGS, EDGES})) == [("RouteConfiguration", [EDGE_ROUTES])]
    _serve(catalog, "payments", "users")
    assert names(edge.changed({SETTINGS, EDGES})) == [("RouteConfiguration", [EDGE_ROUTES])]


def test_routes_do_not_wait_for_what_never_comes(edge: Conversation, catalog: Catalog) -> None:
    """A cluster that an Envoy refuses, a service that is gone meanwhile, or a service or a port that never was."""
    _serve(catalog, "users", "payments")
    (refused,) = edge.changed({EDGES})
    assert names(edge.receive(nack(refused, "no"))) == [("RouteConfiguration", [EDGE_ROUTES])]
    catalog.replace(apply(catalog.mesh, ServiceApplied(Service("search"))), {"search"})
    _serve(catalog, "users", "search")
    assert names(edge.changed({EDGES})) == [("Cluster", ["search"])]
    catalog.replace(apply(catalog.mesh, ServiceRemoved("search")), {"search"})
    assert [one[0] for one in names(edge.changed({"search"}))] == ["Cluster", "RouteConfiguration"]
    ported = Service("ported", ports={80: Port(endpoints=USERS.endpoints)})
    catalog.replace(apply(catalog.mesh, ServiceApplied(ported)), {"ported"})
    for served in ("nobody", "ported:81"):
        _serve(catalog, "users", served)
        assert names(edge.changed({EDGES})) == [("Cluster", [served]), ("RouteConfiguration", [EDGE_ROUTES])]


def test_an_edge_that_asks_for_everything_again_gets_everything_again(edge: Conversation) -> None:
    """Whatever it was sent before."""
    assert names(edge.receive(ask(CLUSTER, "*"))) == [("Cluster", ["users"])]


def test_a_reconnecting_edge_drops_what_it_serves_no_more(catalog: Catalog) -> None:
    """It names what it has; only the server knows that `*` no longer covers it."""
    _serve(catalog, "users")
    held = {name: catalog.resource(Key(CLUSTER, name)).version for name in ("users", "payments")}
    (response,) = Conversation(catalog, is_edge=True).receive(ask(CLUSTER, held=held))
    assert (names([response]), list(response.removed_resources)) == ([("Cluster", [])], ["payments"])


def test_a_reconnecting_edge_keeps_its_routes_until_it_has_what_they_lead_to(catalog: Catalog) -> None:
    """The mesh has changed while no server was there."""
    _serve(catalog, "users", "payments")
    session = Conversation(catalog, is_edge=True)
    session.receive(ask(CLUSTER, held={"users": catalog.resource(Key(CLUSTER, "users")).version}))
    assert names(session.receive(ask(ROUTES, EDGE_ROUTES, held={EDGE_ROUTES: "old"}))) == [
        ("RouteConfiguration", [])
    ]
    (endpoints,) = session.receive(ask(ENDPOINTS, "payments"))
    assert names(session.receive(ack(endpoints))) == [("RouteConfiguration", [EDGE_ROUTES])]


def test_fifty_names_are_looked_at_in_one_go(session: Conversation) -> None:
    """Then it is another connection's turn; all are answered in the order in which they were asked for."""
    asked = [f"users:{number}" for number in range(1, 122)]
    answers = names(session.receive(ask(CLUSTER, *asked)))
    assert [len(found) for _, found in answers] == [50, 50, 21]
    assert [name for _, found in answers for name in found] == asked


def test_a_response_has_a_megabyte(catalog: Catalog) -> None:
    """What does not fit comes first in the next one; one resource may be larger by itself."""
    sizes = {"a": 4000, "b": 4000, "c": 20_000, "d": 1, "e": 4000}
    services = [
        Service(name, tuple(Endpoint("10.0.0.1", port) for port in range(1, count + 1)))
        for name, count in sizes.items()
    ]
    catalog.replace(Mesh.of(services), set(sizes))
    bytes_of = {name: catalog.resource(Key(ENDPOINTS, name)).ByteSize() for name in sizes}
    assert bytes_of["a"] + bytes_of["b"] < 1_000_000 < bytes_of["c"]
    session = Conversation(catalog)
    found = [answered for _, answered in names(session.receive(ask(ENDPOINTS, *sizes)))]
    assert found == [["a", "b"], ["c"], ["d", "e"]]
    assert session.session.acknowledged[ENDPOINTS] == {}
    catalog.replace(Mesh.of([]), set(sizes))
    assert sorted(name for _, found in names(session.changed(sizes)) for name in found) == sorted(sizes)


def test_of_a_rejection_two_thousand_letters_are_kept(session: Conversation) -> None:
    """With its type; each resource's own, one for all that were refused together."""
    (first,) = session.receive(ask(CLUSTER, "users", "payments"))
    (second,) = session.receive(ask(ENDPOINTS, "users"))
    session.receive(nack(first, "x" * 2001))
    session.receive(nack(second, "y"))
    assert session.session.rejections == (
        Rejection(CLUSTER, ("users", "payments"), "x" * 2000),
        Rejection(ENDPOINTS, ("users",), "y"),
    )
    request = ask(CLUSTER)
    request.resource_names_unsubscribe.append("users")
    session.receive(request)
    assert len(session.session.rejections) == 2
    request.resource_names_unsubscribe[:] = ["payments"]
    session.receive(request)
    assert [one.type_url for one in session.session.rejections] == [ENDPOINTS]


def test_types_that_are_not_served(session: Conversation) -> None:
    """Each name is removed once, a star is none; what is acknowledged is not answered, and nothing is kept."""
    other = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
    for request, removed in (
        (ask(other, "b", "*", "a", "b"), ["b", "a"]),
        (ask(other), []),
        (ask(other, "*"), []),
        (DeltaDiscoveryRequest(type_url=other, response_nonce="1", resource_names_subscribe=["c"]), ["c"]),
    ):
        (response,) = session.receive(request)
        assert (response.type_url, list(response.removed_resources)) == (other, removed)
        assert session.receive(ack(response)) == []
    assert response.nonce == "4"
    assert (session.session.pending, session.session.acknowledged, session.session.is_due) == (0, {}, False)


def test_what_a_session_says_of_itself(session: Conversation, catalog: Catalog) -> None:
    """Which services it depends on, which clusters it keeps, and which of them may have an instance."""
    session.receive(ask(CLUSTER, "users:80", "users@gone", "payments", "elsewhere.test", "users@gone,baseline"))
    session.receive(ask(ENDPOINTS, "users@pr-42"))
    one = session.session
    assert set(one.subjects) == {"users", "payments", "elsewhere.test"}
    assert (one.cluster_count, one.pending, one.not_kept, one.rejections) == (5, 2, 0, ())
    assert one.clusters == ["users:80", "payments", "users@gone,baseline"]
    for name in ("payments", "elsewhere.test"):
        session.receive(DeltaDiscoveryRequest(type_url=CLUSTER, resource_names_unsubscribe=[name]))
    assert (set(one.subjects), one.cluster_count) == ({"users"}, 3)
    assert one.is_due is False
    assert one.respond() is None


def test_many_clusters_are_withdrawn_in_parts(catalog: Catalog) -> None:
    """Fifty at a time; one that is asked for again is sent again."""
    session = Session(catalog, limits=Limits(unbacked=120))
    asked = [f"users@{number}" for number in range(120)]
    session.receive(ask(CLUSTER, *asked))
    while session.is_due:
        session.respond()
    session.receive(ask(CLUSTER, *(f"users@more-{number}" for number in range(50)), "users@0"))
    first, second = session.respond(), session.respond()
    assert (len(first.resources), list(first.removed_resources)) == (50, asked[:50])
    assert ([one.name for one in second.resources], list(second.removed_resources)) == (["users@0"], [asked[50]])
    assert session.is_due is False


def test_an_updated_cluster_is_followed_by_endpoints_that_the_envoy_has(catalog: Catalog) -> None:
    """Of an Envoy that connects again, too; if its cluster is the same, it lacks nothing."""
    held = {
        type_url: {"users": catalog.resource(Key(type_url, "users")).version} for type_url in (CLUSTER, ENDPOINTS)
    }
    for cluster, sent in (({"users": "old"}, ["users"]), (held[CLUSTER], [])):
        session = Conversation(catalog)
        assert names(session.receive(ask(CLUSTER, "users", held=cluster))) == [("Cluster", sent)]
        answered = session.receive(ask(ENDPOINTS, "users", held=held[ENDPOINTS]))
        assert names(answered) == [("ClusterLoadAssignment", sent)]


def test_the_last_good_version_is_sent_to_who_lacks_it(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Though the resource can't be built any more; where there is none, what the Envoy has stays."""
    good = catalog.resource(Key(CLUSTER, "users")).version

    def broken(*_: object) -> None:
        raise ValueError("not today")

    monkeypatch.setitem(_BUILDERS, CLUSTER, broken)
    catalog.replace(catalog.mesh, {"users", "payments"})
    held = {"users": "old", "payments": "old"}
    (response,) = Conversation(catalog).receive(ask(CLUSTER, "users", "payments", held=held))
    assert [(one.name, one.version) for one in response.resources] == [("users", good)]
    assert not response.removed_resources


def test_a_cluster_stays_while_an_edge_refuses_the_routes_without_it(edge: Conversation, catalog: Catalog) -> None:
    """It still uses the old ones; that it refused something else does not matter."""
    (other,) = edge.receive(ask(CLUSTER, "elsewhere.test"))
    assert edge.receive(nack(other, "no")) == []
    _serve(catalog, "users", "payments")
    edge.changed({SETTINGS, EDGES})
    (endpoints,) = edge.receive(ask(ENDPOINTS, "payments"))
    (routes,) = edge.receive(ack(endpoints))
    edge.receive(ack(routes))
    _serve(catalog, "payments")
    (routes,) = edge.changed({SETTINGS, EDGES})
    assert edge.receive(nack(routes, "no")) == []
    _serve(catalog, "payments", previews={"preview.test": "payments"})
    (routes,) = edge.changed({SETTINGS, EDGES})
    (removed,) = edge.receive(ack(routes))
    assert (removed.type_url, list(removed.removed_resources)) == (CLUSTER, ["users"])


def test_a_cluster_that_is_sent_again_unchanged_has_no_new_endpoints(session: Conversation) -> None:
    """Envoy keeps those that it has."""
    for key in (Key(CLUSTER, "users"), Key(ENDPOINTS, "users")):
        (response,) = session.receive(ask(*key))
        session.receive(ack(response))
    assert names(session.receive(ask(CLUSTER, "users"))) == [("Cluster", ["users"])]


def test_an_edge_has_something_to_send_as_soon_as_it_serves_more(edge: Conversation, catalog: Catalog) -> None:
    """The server looks for that before it takes a response."""
    assert edge.session.is_due is False
    _serve(catalog, "users", "payments")
    edge.session.changed({"payments"})
    assert edge.session.is_due is True


def test_a_withdrawn_cluster_that_an_edge_begins_to_serve_is_sent(catalog: Catalog) -> None:
    """Though it was sent before, and though the mesh does not have it."""
    edge = Conversation(catalog, is_edge=True, limits=Limits(unbacked=1))
    for wanted in (("*", "later"), ("users@a",)):
        responses = edge.receive(ask(CLUSTER, *wanted))
    assert list(responses[0].removed_resources) == ["later"]
    _serve(catalog, "later")
    assert names(edge.changed({SETTINGS, EDGES})) == [("Cluster", ["later"])]


def test_a_withdrawn_cluster_is_held_no_longer(catalog: Catalog) -> None:
    """Though its version was acknowledged before."""
    session = Conversation(catalog, limits=Limits(unbacked=1))
    (response,) = session.receive(ask(CLUSTER, "users@a"))
    session.receive(ack(response))
    assert list(session.session.acknowledged[CLUSTER]) == ["users@a"]
    session.receive(ask(CLUSTER, "users@b"))
    assert list(session.session.acknowledged[CLUSTER]) == []
