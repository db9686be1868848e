"""The Envoys that stand beside the sidecar in a comparison: an origin, and a plain Envoy.

The origin is an Envoy too, because it answers faster than the Envoy under test can ask.
"""

from collections.abc import Mapping
from typing import Any, Final

Json = dict[str, Any]

LISTENER: Final = "plain"
"""How these Envoys name their listeners in statistics."""

_TYPE: Final = "type.googleapis.com/"
_MANAGER: Final = _TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER: Final = _TYPE + "envoy.extensions.filters.http.router.v3.Router"


def origin_bootstrap(admin_port: int, bodies: Mapping[int, str]) -> Json:
    """Return an Envoy that answers every request to a port with that port's body.

    It listens on all of 127.0.0.0/8, so that one origin can play any number of endpoints.
    """
    listeners = []
    for port, body in bodies.items():
        answer = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": body}}}
        virtual_host = {"name": "origin", "domains": ["*"], "routes": [answer]}
        listeners.append(_listener("0.0.0.0", port, {"route_config": {"virtual_hosts": [virtual_host]}}))
    return _bootstrap(admin_port, listeners, clusters=[])


def plain_bootstrap(admin_port: int, port: int, service: str, endpoint: tuple[str, int], **options: object) -> Json:
    """Return a plain Envoy with one virtual host, one prefix route and one static cluster, for one service.

    Written by hand, not derived from the sidecar's bootstrap. The same as the sidecar, because they are what a
    proxy that is to be transparent is set to, with or without Detour: no request id, no idle timeout of streams
    and none of requests, the origin's `server` header passed through, none of Envoy's own headers, WebSocket
    upgrades, a cluster without limits, one worker. Not the same, because it is what Detour adds: the filters
    for on-demand discovery, faults and the outside world, the choice of the cluster by authority or by Lua, the
    response header `x-detour-served-by`, the replies in words, the connection to the control plane, and what lets
    HTTP pass as it is (`detour.envoy.transparency`): the case of header names, and retries.

    Args:
        admin_port: Where its admin interface listens.
        port: Where it listens.
        service: The host that it serves, `*` for any; and the cluster's name.
        endpoint: The service's one instance.
        options: Of the connection manager, beside these: what a plain edge would be set to.
    """
    route = {"match": {"prefix": "/"}, "route": {"cluster": service, "timeout": "0s"}}
    virtual_host = {"name": service, "domains": [service], "routes": [route]}
    manager = {
        "stream_idle_timeout": "0s",
        "generate_request_id": False,
        "server_header_transformation": "PASS_THROUGH",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "route_config": {"virtual_hosts": [virtual_host]},
        **options,
    }
    return _bootstrap(admin_port, [_listener("127.0.0.1", port, manager)], [_cluster(service, endpoint)])


def _bootstrap(admin_port: int, listeners: list[Json], clusters: list[Json]) -> Json:
    return {
        "admin": {"address": _address("127.0.0.1", admin_port)},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }


def _listener(address: str, port: int, manager: Json) -> Json:
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": _ROUTER, "suppress_envoy_headers": True},
    }
    config = {"@type": _MANAGER, "stat_prefix": LISTENER, "http_filters": [router], **manager}
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": config}]}
    return {"address": _address(address, port), "filter_chains": [chain]}


def _cluster(name: str, endpoint: tuple[str, int]) -> Json:
    many = 2**31 - 1
    limits = {"max_connections": many, "max_pending_requests": many, "max_requests": many, "max_retries": many}
    host = {"endpoint": {"address": _address(*endpoint)}}
    return {
        "name": name,
        "type": "STATIC",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [host]}]},
    }


def _address(address: str, port: int) -> Json:
    return {"socket_address": {"address": address, "port_value": port}}
