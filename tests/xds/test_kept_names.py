"""The names that the server keeps up to date for one Envoy."""

from collections import defaultdict

from detour.mesh import Endpoint, Mesh, Service
from detour.xds.catalog import CLUSTER, EDGES, ENDPOINTS, Catalog, Key
from detour.xds.holdings import Holdings, Limits, Shared
from detour.xds.kept_names import KeptNames
from detour.xds.subscription import Subscription

CATALOG = Catalog(Mesh.of([Service("users", (Endpoint("127.0.0.1", 9001),))]))


class Kept(KeptNames):
    """Kept names, and what was forgotten of them."""

    def __init__(self, limits: Limits) -> None:
        self.subscriptions: defaultdict[str, Subscription] = defaultdict(Subscription)
        self.gone: list[Key] = []
        holdings = Holdings(limits, CATALOG.is_backed, Shared())
        super().__init__(CATALOG, self.subscriptions, holdings, self.gone.append)


def test_a_name_is_found_by_its_subject() -> None:
    """A service has clusters and endpoints, also those of deployments."""
    kept = Kept(Limits())
    keys = {Key(CLUSTER, "users"), Key(ENDPOINTS, "users"), Key(CLUSTER, "users@pr-42")}
    assert all(kept.keep(key, "v1") for key in keys)
    assert (set(kept.of("users")), list(kept.of("web")), list(kept.subjects)) == (keys, [], ["users"])
    assert kept.subscriptions[CLUSTER].sent == {"users": "v1", "users@pr-42": "v1"}


def test_a_name_that_is_kept_stays_as_it_is() -> None:
    """The version that was sent counts, not the one that a client claims later."""
    kept = Kept(Limits())
    kept.keep(Key(CLUSTER, "users"), "v1")
    assert kept.keep(Key(CLUSTER, "users"), "v2")
    assert kept.subscriptions[CLUSTER].sent == {"users": "v1"}


def test_a_forgotten_name_leaves_nothing() -> None:
    """Its subject ends with the last name."""
    kept = Kept(Limits())
    for type_url in (CLUSTER, ENDPOINTS):
        kept.keep(Key(type_url, "users"), "v1")
        kept.subscriptions[type_url].acknowledged["users"] = "v1"
    kept.forget(Key(CLUSTER, "users"))
    assert list(kept.of("users")) == [Key(ENDPOINTS, "users")]
    kept.forget(Key(ENDPOINTS, "users"))
    assert (list(kept.subjects), kept.gone) == ([], [Key(CLUSTER, "users"), Key(ENDPOINTS, "users")])
    assert [(one.sent, one.acknowledged) for one in kept.subscriptions.values()] == [({}, {}), ({}, {})]


def test_without_room_a_name_is_not_kept() -> None:
    """Names that "*" covers are kept in any case."""
    kept = Kept(Limits(kept_bytes=500, own_bytes=500))
    kept.subscriptions[CLUSTER].names.update({"users", "users@pr-42"})
    assert kept.keep(Key(CLUSTER, "users"), "")
    assert not kept.keep(Key(CLUSTER, "users@pr-42"), "")
    assert kept.subscriptions[CLUSTER].names == {"users"}
    kept.subscriptions[CLUSTER].covered = {"web"}
    assert kept.keep(Key(CLUSTER, "web"), "")


def test_withdrawn_clusters_make_room() -> None:
    """They are removed at the Envoy, and their names are remembered until the room is needed."""
    kept = Kept(Limits(unbacked=1, kept_bytes=900, own_bytes=900))
    for name in ("users@a", "users@b"):
        kept.withdraw_others(name)
        assert kept.keep(Key(CLUSTER, name), "")
    assert list(kept.subscriptions[CLUSTER].removed) == ["users@a"]
    assert kept.gone == []
    assert kept.keep(Key(CLUSTER, "users"), "")
    assert kept.gone == [Key(CLUSTER, "users@a")]


def test_other_keys_can_depend_on_a_subject() -> None:
    """Such as what "*" covers."""
    kept = Kept(Limits())
    everything = Key(CLUSTER, "*")
    kept.watch(EDGES, everything)
    assert (list(kept.of(EDGES)), list(kept.subjects)) == ([everything], [EDGES])
    kept.unwatch(EDGES, everything)
    assert list(kept.subjects) == []
    kept.unwatch(EDGES, everything)
