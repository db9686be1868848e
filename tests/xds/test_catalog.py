"""Services that tell their ports apart, and names that depend on who asks."""

import logging

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from detour.envoy.vocabulary import (
    EDGE_ROUTES,
    EDGE_ROUTES_TRUSTED,
    METADATA,
    MISSING,
    OUTBOUND_MANAGER,
    OUTBOUND_ROUTES,
    TOKEN_FILTER,
)
from detour.mesh import (
    DeploymentApplied,
    DeploymentRemoved,
    Endpoint,
    KeysApplied,
    Mesh,
    Naming,
    OffloadedDeployment,
    Port,
    Protocol,
    Scenarios,
    ScenariosApplied,
    Service,
    ServiceApplied,
    ServiceRemoved,
    Settings,
    SettingsApplied,
)
from detour.xds import catalog as module
from detour.xds.cache import Cache
from detour.xds.catalog import (
    _BUILDERS,
    CLUSTER,
    EDGES,
    ENDPOINTS,
    FILTERS,
    OUTBOUND,
    ROUTES,
    SETTINGS,
    TYPES,
    Catalog,
    Key,
    same_but_for_hosts,
    subjects,
)
from detour.xds.messages import HTTP_OPTIONS

WEB, GRPC, TLS = Endpoint("10.0.0.1", 8080), Endpoint("10.0.0.1", 9090), Endpoint("10.0.0.1", 8443)
OURS, THEIRS = Endpoint("10.0.0.2", 8080), Endpoint("10.0.0.3", 8080)
USERS = Service(
    "users",
    (WEB,),
    ports={80: Port(endpoints=(WEB,)), 9090: Port(Protocol.HTTP2, (GRPC,)), 443: Port(Protocol.TCP, (TLS,))},
)
PR_42 = OffloadedDeployment("users", "pr-42", (OURS,), ports={80: (OURS,), 9090: ()})
MESH = Mesh.of([USERS, Service("users.pay", (THEIRS,))], [PR_42], Settings(naming=Naming(home="shop")))


def cluster(name: str, namespace: str = "shop") -> Cluster:
    """Return a cluster as the Envoys of a namespace get it."""
    made = Cluster()
    Catalog(MESH, namespace).resource(Key(CLUSTER, name)).resource.Unpack(made)
    return made


def endpoints(name: str, namespace: str = "shop") -> list[tuple[str, int]]:
    """Return where the cluster of that name leads."""
    made = ClusterLoadAssignment()
    Catalog(MESH, namespace).resource(Key(ENDPOINTS, name)).resource.Unpack(made)
    sockets = [one.endpoint.address.socket_address for local in made.endpoints for one in local.lb_endpoints]
    return [(socket.address, socket.port_value) for socket in sockets]


def missing(name: str) -> str:
    """Return the sentence that callers get."""
    return cluster(name).metadata.filter_metadata[METADATA].fields[MISSING].string_value


def test_each_port_has_its_own_instances_and_protocol() -> None:
    """Who names no port means 80."""
    assert [endpoints(name) for name in ("users", "users:80", "users:9090")] == [
        [("10.0.0.1", 8080)],
        [("10.0.0.1", 8080)],
        [("10.0.0.1", 9090)],
    ]
    options = HttpProtocolOptions()
    cluster("users:9090").typed_extension_protocol_options[HTTP_OPTIONS].Unpack(options)
    assert options.explicit_http_config.HasField("http2_protocol_options")


def test_an_override_keeps_the_port() -> None:
    """A deployment without instances at that port is missing there, and falls back only where it may."""
    assert endpoints("users:80@pr-42") == [("10.0.0.2", 8080)]
    assert endpoints("users:9090@pr-42") == []
    assert endpoints("users:9090@pr-42,baseline") == [("10.0.0.1", 9090)]


def test_a_port_that_a_service_lacks_is_told() -> None:
    """As nobody would answer there without a sidecar."""
    assert endpoints("users:81") == []
    assert missing("users:81") == "service users has no port 81 (it has 80, 9090, 443)"


def test_a_tunnel_to_what_is_no_plain_http_is_bytes() -> None:
    """Its end is the service itself; that of other ports is read here."""
    assert cluster("connect@users:443").type == Cluster.EDS
    assert endpoints("connect@users:443") == [("10.0.0.1", 8443)]
    assert cluster("connect@users:9090").type == Cluster.STATIC


def test_a_bare_name_means_the_callers_own_namespace() -> None:
    """And a full one the same to everybody."""
    assert endpoints("users", "pay") == [("10.0.0.3", 8080)]
    assert endpoints("users", "shop") == endpoints("users.shop.svc.cluster.local:80", "pay") == [("10.0.0.1", 8080)]
    assert endpoints("users.pay.svc", "shop") == [("10.0.0.3", 8080)]


def test_a_change_reaches_every_name_of_a_service() -> None:
    """However a sidecar called it."""
    catalog = Catalog(MESH, "pay")
    keys = [Key(ENDPOINTS, name) for name in ("users.shop", "users.shop.svc:80", "users")]
    before = [catalog.resource(key) for key in keys]
    catalog.replace(Mesh.of([Service("users.pay", (THEIRS,))], [], MESH.settings), {"users"})
    assert [catalog.resource(key) != was for key, was in zip(keys, before, strict=True)] == [True, True, False]


def test_the_lua_of_a_sidecar_knows_its_namespace() -> None:
    """Where there are any."""
    for namespace, caller in (("pay", "pay"), ("", "shop")):
        table = RouteConfiguration()
        Catalog(MESH, namespace).resource(Key(ROUTES, OUTBOUND_ROUTES)).resource.Unpack(table)
        assert f'DETOUR_CALLER = "{caller}"' in str(table).replace('\\"', '"')


@pytest.mark.parametrize(
    ("name", "is_backed", "may_serve"),
    [
        ("users", True, True),
        ("users:80", True, True),
        ("users.shop.svc.cluster.local:80", True, True),
        ("users.pay", True, True),
        ("users@pr-42", True, True),
        ("users@pr-42,baseline", True, True),
        ("users@gone", False, False),
        ("users@gone,baseline", False, True),
        ("example.test", False, False),
        ("example.test:443", False, False),
        ("example.test@pr-42", False, False),
        ("example.test@pr-42,baseline", False, False),
        ("connect@example.test:443", False, False),
        ("payments", False, False),
        ("payments@pr-42", False, False),
        ("users@", False, False),
        ("@", False, False),
        ("", False, False),
        ("x" * 600, False, False),
    ],
)
def test_what_stands_for_something_in_the_mesh(name: str, is_backed: bool, may_serve: bool) -> None:
    """A service, and a deployment that is there; anything else a client may have made up."""
    catalog = Catalog(MESH, "shop")
    assert (catalog.is_backed(name), catalog.may_serve(name)) == (is_backed, may_serve)


@pytest.mark.parametrize(
    ("type_url", "is_edge", "names"),
    [
        (CLUSTER, True, ["pay", "search", "users"]),
        (ENDPOINTS, True, []),
        (ROUTES, True, []),
        (FILTERS, True, []),
        (CLUSTER, False, []),
        (ENDPOINTS, False, []),
        (ROUTES, False, []),
        (FILTERS, False, []),
    ],
)
def test_what_everything_stands_for(type_url: str, is_edge: bool, names: list[str]) -> None:
    """The clusters of an edge's hosts and of its previews, each once and in order; nothing for a sidecar."""
    hosts, previews = {"a.test": "users", "b.test": "pay"}, {"preview.test": "search", "other.test": "users"}
    settings = Settings(edge_hosts=hosts, edge_previews=previews)
    made = Catalog(Mesh.of([Service(name) for name in ("users", "pay", "search", "more")], [], settings))
    assert list(made.wildcard_names(type_url, is_edge=is_edge)) == names


def test_more_changes_than_are_remembered_make_everything_be_built_anew() -> None:
    """What was built before them is never served again, and what is remembered stays bounded."""
    catalog, other = Catalog(Mesh.of([Service("users", (WEB,))])), Mesh.of([Service("users", (OURS,))])
    key = Key(ENDPOINTS, "users")
    before = catalog.resource(key)
    catalog.replace(other, {"users"})
    catalog.replace(other, {f"made-up-{number}" for number in range(module._TOUCHED_MAX)})
    assert len(catalog._touched) == module._TOUCHED_MAX + 1
    catalog.replace(other, {"one-more"})
    assert len(catalog._touched) == 1
    assert catalog.resource(key).version == Catalog(other).resource(key).version != before.version


def test_what_was_touched_before_it_was_built_is_not_built_again() -> None:
    """A change costs one building, and only of what it touches."""
    catalog, key, neighbour = Catalog(MESH), Key(ENDPOINTS, "users"), Key(ENDPOINTS, "users.pay")
    catalog.replace(MESH, {"users"})
    built, untouched = catalog.resource(key), catalog.resource(neighbour)
    assert catalog.resource(key) is built
    catalog.replace(MESH, {"users"})
    assert catalog.resource(key) is not built
    assert catalog.resource(neighbour) is untouched
    catalog.replace(MESH, {f"made-up-{number}" for number in range(module._TOUCHED_MAX + 1)})
    catalog.replace(MESH, ())
    assert catalog.resource(neighbour) is not untouched


def test_failures_are_listed_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest thousand; one that is built again is listed no longer."""

    def broken(name: str, *_: object) -> None:
        raise ValueError(name)

    catalog, last = Catalog(MESH), Key(CLUSTER, "users:1000")
    with monkeypatch.context() as breaking:
        breaking.setitem(_BUILDERS, CLUSTER, broken)
        for port in range(module._FAILURES_MAX + 1):
            assert catalog.resource(Key(CLUSTER, f"users:{port}")) is None
        assert len(catalog.failures) == module._FAILURES_MAX == 1000
        assert Key(CLUSTER, "users:0") not in catalog.failures
        assert catalog.failures[last] == "users:1000"
    catalog.replace(MESH, {"users"})
    assert catalog.resource(last) is not None
    assert last not in catalog.failures


def test_names_that_are_too_long_are_answered_and_not_kept() -> None:
    """A client may make up any number of them."""
    catalog = Catalog(MESH)
    for length, is_kept in ((module.NAME_MAX, True), (module.NAME_MAX + 1, False)):
        used = catalog._cache.used_bytes
        assert catalog.resource(Key(CLUSTER, "x" * length)) is not None
        assert (catalog._cache.used_bytes > used) is is_kept


def test_types_are_sent_in_an_order_that_never_leads_into_nothing() -> None:
    """Clusters, their endpoints, and then what leads there."""
    assert [one.rpartition("/")[2] for one in TYPES] == [
        "envoy.config.cluster.v3.Cluster",
        "envoy.config.endpoint.v3.ClusterLoadAssignment",
        "envoy.config.core.v3.TypedExtensionConfig",
        "envoy.config.route.v3.RouteConfiguration",
    ]
    assert {one.partition("/")[0] for one in TYPES} == {"type.googleapis.com"}


@pytest.mark.parametrize(
    ("events", "named"),
    [
        ([], set()),
        ([ServiceApplied(Service("users")), ServiceRemoved("web")], {"users", "web"}),
        ([DeploymentApplied(PR_42), DeploymentRemoved("web", "pr-1")], {"users", "web"}),
        ([SettingsApplied(Settings())], {"", "@edges"}),
        ([ScenariosApplied(Scenarios())], {"@edges"}),
        ([KeysApplied(())], {"@edges"}),
        ([ServiceRemoved("web"), KeysApplied(None), SettingsApplied(Settings())], {"web", "", "@edges"}),
    ],
)
def test_the_subjects_of_events(events: list[object], named: set[str]) -> None:
    """Services by name; settings are of everybody, scenarios and keys of edges only."""
    assert subjects(iter(events)) == named


@pytest.mark.parametrize(
    ("type_url", "name", "subject"),
    [
        (CLUSTER, "users:80@pr-42", "users"),
        (ENDPOINTS, "users.pay", "users.pay"),
        (CLUSTER, "elsewhere.test", "elsewhere.test"),
        (CLUSTER, "@", ""),
        (ROUTES, OUTBOUND_ROUTES, SETTINGS),
        (ROUTES, EDGE_ROUTES, EDGES),
        (ROUTES, EDGE_ROUTES_TRUSTED, EDGES),
        (FILTERS, TOKEN_FILTER, EDGES),
    ],
)
def test_the_subject_of_a_resource(type_url: str, name: str, subject: str) -> None:
    """What has to change before it does."""
    assert Catalog(MESH, "shop").subject(Key(type_url, name)) == subject


def test_what_envoy_asks_endpoints_of() -> None:
    """Not of clusters that have all that they ever have."""
    catalog = Catalog(MESH, "shop")
    asked = {
        name: catalog.has_endpoints(name) for name in ("users", "users@gone", "elsewhere.test", "users:81", "@")
    }
    assert asked == {"users": True, "users@gone": True, "elsewhere.test": False, "users:81": False, "@": False}


def test_catalogs_share_a_cache_and_nothing_in_it() -> None:
    """A name means something else in another namespace."""
    cache = Cache()
    ours, theirs = Catalog(MESH, "shop", cache), Catalog(MESH, "pay", cache)
    key = Key(ENDPOINTS, "users")
    assert ours.resource(key) != theirs.resource(key)
    assert ours.mesh is theirs.mesh is MESH
    assert cache.used_bytes > 1400
    # Also that there is none of a name is kept.
    catalog = Catalog(MESH, "shop", cache)
    used = cache.used_bytes
    assert catalog.resource(Key(ROUTES, "none")) is None
    assert cache.used_bytes == used + 708


def test_a_table_with_hosts_is_another_version_of_the_same_table() -> None:
    """Made once; another table without hosts makes another one with them."""
    catalog = Catalog(MESH, "shop")
    base, named = catalog.resource(OUTBOUND), catalog.outbound_routes(("users", "users.pay"))
    assert catalog.outbound_routes(()) is base
    assert catalog.outbound_routes(("users", "users.pay")) is named
    assert (named.name, named.version.split(".")[0]) == (base.name, base.version)
    hosts = RouteConfiguration.FromString(named.resource.value).virtual_hosts
    assert [host.name for host in hosts] == ["everything", "users", "users.pay"]
    other = catalog.outbound_routes(("users",))
    assert same_but_for_hosts(named.version, other.version)
    assert named.version != other.version
    catalog.replace(Mesh.of([], [], Settings(overrides_off="an incident")), {SETTINGS})
    off = catalog.outbound_routes(("users",))
    assert not same_but_for_hosts(other.version, off.version)
    assert not same_but_for_hosts("a.b", "b.b")
    assert same_but_for_hosts("a.b.c", "a")


def test_what_cannot_be_built_stays_as_it_was(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with all that is known; others are built."""
    catalog, key = Catalog(MESH, "shop"), Key(CLUSTER, "users")
    before = catalog.resource(key)

    def failing(name: str, *_: object) -> None:
        raise ArithmeticError(f"no {name} today")

    monkeypatch.setitem(_BUILDERS, CLUSTER, failing)
    catalog.replace(MESH, {"users"})
    with caplog.at_level(logging.ERROR):
        assert catalog.resource(key) is before
    assert caplog.messages == [f"{CLUSTER} 'users' could not be built; the previous version stays in use"]
    assert caplog.records[0].exc_info
    assert catalog.failures == {key: "no users today"}
    assert catalog.resource(Key(CLUSTER, "web")) is None
    assert catalog.resource(Key(ENDPOINTS, "users")) is not None


def test_filters_are_found_by_their_names() -> None:
    """Each builder takes its own."""
    catalog = Catalog(MESH, "shop")
    names = [
        catalog.resource(Key(FILTERS, name)).name for name in (TOKEN_FILTER, "edge-settings", OUTBOUND_MANAGER)
    ]
    assert names == [TOKEN_FILTER, "edge-settings", OUTBOUND_MANAGER]
