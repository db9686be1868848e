"""The routes of requests from outside that bring a token for their overrides."""

from detour.mesh import Carrier, Naming
from detour.xds.edge.signed_routes import signed_routes
from detour.xds.route_parts import Callers


def test_no_route_has_envoys_timeout() -> None:
    """Without a timeout of its own, a route would end WebSockets and downloads after Envoy's 15 seconds."""
    made = list(signed_routes("users", Callers((Carrier.BAGGAGE,), Naming(), "")))
    assert len(made) > 1
    assert all(one.route.HasField("timeout") and one.route.timeout.ToSeconds() == 0 for one in made)
