"""What one stream, and one server, keep of what clients make up."""

from envoy.service.discovery.v3.discovery_pb2 import Resource

from conversation import Conversation, ask, names
from detour.mesh import Endpoint, Mesh, Service, Settings
from detour.xds.cache import Cache, Entry
from detour.xds.catalog import CLUSTER, EDGES, ENDPOINTS, SETTINGS, Catalog, Key
from detour.xds.holdings import Limits, Shared
from detour.xds.in_flight import InFlight, Sent
from detour.xds.session import Session

USERS = Service("users", (Endpoint("127.0.0.1", 9001),))
ROOM_FOR_THREE = Limits(kept_bytes=3 * 420)


def changed(talk: Conversation) -> list[str]:
    """Say that users changed; return the names that are sent because of it."""
    ((_, sent),) = names(talk.changed({"users"}))
    return sorted(sent)


def test_names_past_the_limit_are_answered_and_not_kept() -> None:
    """They are no subscription; those that are kept stay up to date, and unsubscribing makes room."""
    catalog = Catalog(Mesh.of([USERS]))
    talk = Conversation(catalog, limits=ROOM_FOR_THREE)
    for name in ("users", "users:1", "users:2", "users:3", "users:4"):
        assert names(talk.receive(ask(ENDPOINTS, name))) == [("ClusterLoadAssignment", [name])]
    assert talk.session.not_kept == 2
    catalog.replace(Mesh.of([Service("users")]), {"users"})
    assert changed(talk) == ["users", "users:1", "users:2"]
    request = ask(ENDPOINTS, "users:3")
    request.resource_names_unsubscribe.append("users:1")
    talk.receive(request)
    talk.receive(ask(ENDPOINTS, "users:3"))
    catalog.replace(Mesh.of([USERS]), {"users"})
    assert changed(talk) == ["users", "users:2", "users:3"]


def test_what_an_edge_serves_is_kept_in_any_case() -> None:
    """However much it has asked for before."""
    catalog = Catalog(Mesh.of([USERS], [], Settings(edge_hosts={"users.test": "users"})))
    talk = Conversation(catalog, is_edge=True, limits=ROOM_FOR_THREE)
    talk.receive(ask(CLUSTER, "users:1", "users:2", "users:3", "users:4"))
    assert names(talk.receive(ask(CLUSTER, "*"))) == [("Cluster", ["users"])]
    settings = Settings(edge_hosts={"users.test": "users", "other.test": "other"})
    catalog.replace(Mesh.of([USERS], [], settings), {SETTINGS, EDGES})
    assert names(talk.changed({EDGES})) == [("Cluster", ["other"])]


def test_withdrawn_names_make_room_for_others() -> None:
    """The oldest first: Envoy has lost them anyway."""
    catalog = Catalog(Mesh.of([USERS]))
    talk = Conversation(catalog, limits=Limits(unbacked=1, kept_bytes=3 * 420))
    for number in range(10):
        assert len(talk.receive(ask(CLUSTER, f"users@{number}"))) == 1
    assert talk.session.cluster_count == 3
    assert talk.session.not_kept == 0


def test_a_stream_forgets_all_that_it_counts() -> None:
    """Nothing is left of names once a client has unsubscribed from them."""
    session = Session(Catalog(Mesh.of([USERS])), limits=Limits(unbacked=2))
    for name in [f"users@{number}" for number in range(6)] + ["x" * 1000, "users"]:
        session.receive(ask(CLUSTER, name))
        while session.is_due:
            session.respond()
    request = ask(CLUSTER)
    request.resource_names_unsubscribe.extend([*(f"users@{number}" for number in range(6)), "x" * 1000, "users"])
    session.receive(request)
    while session.is_due:
        session.respond()
    assert (session._holdings._kept_bytes, session.cluster_count, len(session.subjects)) == (0, 0, 0)


def test_responses_in_flight_are_bounded_by_number_and_by_names() -> None:
    """The oldest are given up, and say nothing when they are acknowledged after all."""
    in_flight = InFlight(responses_max=3, names_max=5)
    given_up = []
    for number in range(4):
        given_up += in_flight.add(str(number), Sent(CLUSTER, {f"{number}": "1"}))
    assert [one.versions for one in given_up] == [{"0": "1"}]
    assert in_flight.settle("0", CLUSTER) is None
    assert in_flight.settle("1", ENDPOINTS) is None
    given_up += in_flight.add("4", Sent(CLUSTER, dict.fromkeys("abcde", "1")))
    assert len(given_up) == 4
    assert len(in_flight) == 1


def test_the_cache_keeps_what_was_used_last() -> None:
    """Within its bytes; what is larger by itself is not kept at all."""
    cache = Cache(max_bytes=3000)
    for name in ("a", "b", "c"):
        cache.put(name, Entry(Resource(version="x" * 100), "", 0), name)
    assert cache.get("a")
    cache.put("d", Entry(Resource(version="x" * 100), "", 0), "d")
    assert [name for name in "abcd" if cache.get(name)] == ["a", "c", "d"]
    cache.put("e", Entry(Resource(version="x" * 4000), "", 0), "e")
    assert cache.get("e") is None
    assert cache.used_bytes <= 3000


def test_a_resource_that_was_let_go_is_the_same_again() -> None:
    """So that nobody is sent it anew."""
    catalog = Catalog(Mesh.of([USERS]), cache=Cache(max_bytes=2500))
    key = Key(CLUSTER, "users")
    before = catalog.resource(key).version
    for number in range(10):
        catalog.resource(Key(CLUSTER, f"users@{number}"))
    assert catalog._cache.get((catalog._id, key)) is None
    assert catalog.resource(key).version == before


def test_streams_share_what_a_server_keeps() -> None:
    """Each has some names of its own; what is past that is left to others once a stream ends."""
    catalog, shared = Catalog(Mesh.of([USERS])), Shared(max_bytes=2 * 420)
    limits = Limits(own_bytes=420)
    first, second = (Session(catalog, limits=limits, shared=shared) for _ in range(2))

    def kept(session: Session, *names: str) -> int:
        session.receive(ask(ENDPOINTS, *names))
        sent = 0
        while session.is_due:
            response = session.respond()
            sent += len(response.resources) if response else 0
        assert sent == len(names)
        return len(names) - session.not_kept

    assert kept(first, "users", "users:1", "users:2", "users:3") == 3
    assert kept(second, "users") == 1
    first.end()
    assert shared.used_bytes == 0
    third = Session(catalog, limits=limits, shared=shared)
    assert kept(third, "users", "users:1", "users:2") == 3
