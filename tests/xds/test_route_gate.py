"""The order of an edge's clusters and routes, as transcripts of its state machine alone."""

from detour.xds.edge.route_gate import RouteGate


def always(_name: str = "") -> bool:
    """Say yes."""
    return True


def never(_name: str = "") -> bool:
    """Say no."""
    return False


def test_routes_wait_for_the_endpoints_of_every_new_cluster():
    """They are released once, when the last one has settled."""
    gate = RouteGate()
    assert not gate.hold_routes()
    gate.enter(["users", "web"])
    assert gate.hold_routes()
    gate.settle(["users", "a cluster of no interest"])
    assert (gate.hold_routes(), gate.release_routes()) == (True, False)
    gate.settle(["web"])
    assert (gate.release_routes(), gate.release_routes()) == (True, False)
    assert not gate.hold_routes()


def test_routes_that_were_not_held_are_not_released():
    """Nothing is sent again only because a cluster has settled."""
    gate = RouteGate()
    gate.enter(["users"])
    gate.settle(["users"])
    assert not gate.release_routes()


def test_a_cluster_that_enters_meanwhile_holds_routes_on():
    """Also if the first ones have settled."""
    gate = RouteGate()
    gate.enter(["users"])
    assert gate.hold_routes()
    gate.enter(["web"])
    gate.settle(["users"])
    assert not gate.release_routes()
    gate.settle(["web"])
    assert gate.release_routes()


def test_nothing_waits_for_endpoints_that_are_gone():
    """The edge never asks for those of a cluster that has none."""
    gate = RouteGate()
    gate.enter(["users"])
    assert gate.hold_routes()
    gate.keep_waiting_for(always)
    assert not gate.release_routes()
    gate.keep_waiting_for(never)
    assert gate.release_routes()


def test_a_cluster_leaves_after_the_routes_that_led_there():
    """In order of name, and once."""
    gate = RouteGate()
    gate.leave(["web", "users", "pay"])
    gate.stay(["pay"])
    assert gate.release_clusters(never) == []
    assert gate.release_clusters(always) == ["users", "web"]
    assert gate.release_clusters(always) == []


def test_no_cluster_leaves_while_routes_wait():
    """The routes that lead there are still the edge's, whatever it has acknowledged."""
    gate = RouteGate()
    gate.leave(["users"])
    gate.enter(["web"])
    assert gate.release_clusters(always) == []
    gate.settle(["web"])
    assert gate.release_clusters(always) == ["users"]


def test_an_edge_that_unsubscribes_lets_go_at_once():
    """Of what was leaving, too."""
    gate = RouteGate()
    gate.leave(["users"])
    gate.enter(["web"])
    assert gate.stop() == ["users"]
    assert gate.stop() == []
