"""The inbound side of a sidecar, as plain data in Envoy's JSON form: requests for the application, and probes."""

from typing import Final

from detour.envoy.addresses import single_endpoint
from detour.envoy.connection_manager import Json, as_downstream, connection_manager, routes_to
from detour.envoy.replies import inbound_replies
from detour.envoy.transparency import CONNECT_SECONDS, LIMITS

_APPLICATION: Final = "@application"


def application_cluster(port: int) -> Json:
    """Return the cluster of the application, which listens on loopback."""
    return {
        "name": _APPLICATION,
        "alt_stat_name": "application",
        "type": "STATIC",
        "connect_timeout": f"{CONNECT_SECONDS}s",
        "circuit_breakers": LIMITS,
        "typed_extension_protocol_options": as_downstream(),
        "load_assignment": single_endpoint(_APPLICATION, "127.0.0.1", port),
    }


def inbound_manager(app_port: int) -> Json:
    """Return the connection manager of requests for the application."""
    virtual_host = {"name": "application", "domains": ["*"], "routes": routes_to(_APPLICATION)}
    routes = {"name": "inbound", "validate_clusters": False, "virtual_hosts": [virtual_host]}
    replies = {"mappers": inbound_replies(app_port)}
    return connection_manager("inbound", [], route_config=routes, local_reply_config=replies)


def probe_manager() -> Json:
    """Return the connection manager of readiness probes.

    Listeners accept connections only once Envoy is live, so every probe that arrives gets a positive answer.
    """
    route = {"match": {"path": "/ready"}, "direct_response": {"status": 200, "body": {"inline_string": "ready\n"}}}
    routes = {"name": "probe", "virtual_hosts": [{"name": "probe", "domains": ["*"], "routes": [route]}]}
    return connection_manager("probe", [], route_config=routes)
