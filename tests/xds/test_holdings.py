"""What one stream, and one server, keep of what clients make up."""

from envoy.service.discovery.v3.discovery_pb2 import Resource

from conversation import Conversation, ask, names
from detour.mesh import Endpoint, Mesh, Service, Settings
from detour.xds.cache import Cache, Entry
from detour.xds.catalog import CLUSTER, EDGES, ENDPOINTS, SETTINGS, Catalog, Key
from detour.xds.holdings import Holdings, Limits, Shared, is_keepable
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


def test_the_usual_limits() -> None:
    """Of a stream, and of a server."""
    assert Limits() == Limits(2000, 1_000_000, 20_000_000, 100_000)
    assert Shared() == Shared(500_000_000, 0)


def held(limits: Limits, shared: Shared | None = None, *backed: str) -> Holdings:
    """Return what a stream holds, where these clusters stand for something."""
    return Holdings(limits, lambda name: name in backed, shared or Shared())


def test_a_name_costs_its_characters_and_400_bytes() -> None:
    """The last one that fits is the one that fills the room."""
    holdings, key = held(Limits(kept_bytes=810, own_bytes=810)), Key(CLUSTER, "users")
    holdings.keep(key)
    assert holdings.fits(key) is True
    assert holdings.fits(Key(CLUSTER, "usersx")) is False
    holdings.keep(key)
    assert holdings.fits(Key(CLUSTER, "")) is False
    holdings.forget(key, was_kept=False)
    assert holdings._kept_bytes == 810
    holdings.forget(key, was_kept=True)
    assert (holdings._kept_bytes, holdings.fits(key), holdings.not_kept) == (405, True, 0)


def test_what_is_beyond_a_streams_own_is_of_all() -> None:
    """To the byte; it is given back as it was taken."""
    shared, limits = Shared(max_bytes=305), Limits(own_bytes=500)
    first, second = held(limits, shared), held(limits, shared)
    key = Key(ENDPOINTS, "users")
    first.keep(key)
    assert (shared.used_bytes, first.fits(key), first.fits(Key(ENDPOINTS, "users" * 2))) == (0, False, False)
    shared.max_bytes = 310
    assert first.fits(key) is True
    first.keep(key)
    assert (shared.used_bytes, first.fits(key), second.fits(key)) == (310, False, True)
    second.keep(key)
    assert (shared.used_bytes, second.fits(key)) == (310, False)
    first.forget(key, was_kept=True)
    assert shared.used_bytes == 0
    first.keep(key)
    second.end()
    assert shared.used_bytes == 310
    first.end()
    assert (shared.used_bytes, first._kept_bytes) == (0, 0)


def test_clusters_that_stand_for_nothing_are_withdrawn_by_number_and_by_length() -> None:
    """The oldest first; one that is asked for again counts once, one that has become something not at all."""
    holdings = held(Limits(unbacked=2, unbacked_bytes=10), None, "real", "later")
    assert holdings.withdraw_for("a") == holdings.withdraw_for("real") == holdings.withdraw_for("b") == []
    assert holdings.withdraw_for("a") == []
    assert holdings.withdraw_for("c") == ["a"]
    assert [holdings.is_withdrawn(name) for name in "abc"] == [True, False, False]
    assert holdings.withdraw_for("123456789") == ["b"]
    assert holdings.withdraw_for("1234567890") == ["c", "123456789"]
    assert holdings.oldest_withdrawn() == "a"
    holdings.restore("a")
    assert (holdings.oldest_withdrawn(), holdings.is_withdrawn("a")) == ("b", False)
    holdings.forget(Key(ENDPOINTS, "b"), was_kept=False)
    assert holdings.oldest_withdrawn() == "b"
    holdings.forget(Key(CLUSTER, "b"), was_kept=False)
    assert holdings.oldest_withdrawn() == "c"
    assert held(Limits()).oldest_withdrawn() is None


def test_a_cluster_that_is_forgotten_counts_no_longer() -> None:
    """Nor does one that has come to stand for something."""
    backed: set[str] = set()
    holdings = Holdings(Limits(unbacked=2), backed.__contains__, Shared())
    for name in "ab":
        holdings.withdraw_for(name)
    holdings.forget(Key(CLUSTER, "a"), was_kept=False)
    assert holdings.withdraw_for("c") == []
    backed.add("b")
    assert holdings.withdraw_for("d") == []
    assert holdings.withdraw_for("b") == []
    assert holdings.withdraw_for("e") == ["c"]
    assert holdings._unbacked_bytes == 2


def test_what_is_too_long_to_mean_anything_is_kept_nowhere() -> None:
    """Neither is that it was withdrawn."""
    assert is_keepable("x" * 341) is True
    assert is_keepable("x" * 342) is False
    holdings = held(Limits(unbacked=1))
    for name in ("x" * 342, "x" * 341, "a"):
        holdings.withdraw_for(name)
    assert holdings.oldest_withdrawn() == "x" * 341
