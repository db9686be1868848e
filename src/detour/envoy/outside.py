"""The way out of the mesh: an internal listener that is an ordinary forward proxy.

Invariant: no override and no internal header leaves the mesh, whichever route led here. Host names are resolved per
request (dynamic forward proxy), so a slow DNS server delays no other request. Requests between services of the mesh
never pass this listener.
"""

from typing import Final

from detour.envoy.connection_manager import Json, as_downstream, connection_manager, http_filter, routes_to
from detour.envoy.lua import leave_source
from detour.envoy.replies import outside_replies
from detour.envoy.reports import departure_log
from detour.envoy.transparency import CONNECT_SECONDS, LIMITS
from detour.envoy.vocabulary import (
    FORWARD_PROXY_FILTER,
    LUA_FILTER,
    METADATA,
    OUTSIDE_DNS,
    OUTSIDE_LISTENER,
    OVERRIDES_HEADER,
    REMOVED,
    TYPE,
)

INTERNAL_PREFIXES: Final = ("x-envoy-", "x-detour-")
INTERNAL_HEADERS: Final = ("x-ot-span-context",)
_ADDED: Final = "x-forwarded-proto"
"""A header that the sidecar's own connection manager adds, with the value `http`, if the application did not set
it."""

_CLUSTER: Final = "@outside"
"""A cluster name that no request can produce."""


def outside_listener(outbound_port: int, control_plane: str) -> Json:
    """Return the listener. It answers requests for the sidecar itself, which would otherwise loop.

    Args:
        outbound_port: The port where the application reaches the sidecar.
        control_plane: The cluster that receives reports of requests that had overrides.
    """
    removed = {"key": OVERRIDES_HEADER, "value": f"%DYNAMIC_METADATA({METADATA}:{REMOVED})%"}
    added = {"name": _ADDED, "string_match": {"exact": "http"}}
    everything = {
        "name": "everything",
        "domains": ["*"],
        # A filter cannot do this: Envoy finds no route for a request without that header.
        "routes": [
            *routes_to(_CLUSTER, added, request_headers_to_remove=[_ADDED]),
            *routes_to(_CLUSTER),
        ],
        "request_headers_to_remove": list(INTERNAL_HEADERS),
        # Envoy adds no header with an empty value, so only responses to requests that had overrides get this one.
        "response_headers_to_add": [{"header": removed, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
    }
    filters = [
        http_filter(LUA_FILTER, "lua.v3.Lua", default_source_code={"inline_string": leave_source()}),
        _remove_internal_headers(),
        forward_proxy(),
    ]
    manager = connection_manager(
        "outside",
        filters,
        route_config={"name": "outside", "virtual_hosts": [itself(outbound_port), everything]},
        local_reply_config={"mappers": outside_replies()},
        access_log=[departure_log(control_plane)],
    )
    return {"name": OUTSIDE_LISTENER, "internal_listener": {}, "filter_chains": [{"filters": [manager]}]}


def outside_cluster() -> Json:
    """Return the cluster that sends each request to the host that it names; the default port is 80."""
    cluster_type = "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig"
    # Envoy's rule concerns TLS to the resolved names; this forward proxy speaks plain HTTP only.
    config = {"@type": TYPE + cluster_type, "dns_cache_config": OUTSIDE_DNS, "allow_insecure_cluster_options": True}
    return {
        "name": _CLUSTER,
        "alt_stat_name": "outside",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": f"{CONNECT_SECONDS}s",
        "circuit_breakers": LIMITS,
        "cluster_type": {"name": "envoy.clusters.dynamic_forward_proxy", "typed_config": config},
        "typed_extension_protocol_options": as_downstream(),
    }


def forward_proxy() -> Json:
    """Return the filter that resolves a request's host name for a forward proxy's cluster."""
    return http_filter(FORWARD_PROXY_FILTER, "dynamic_forward_proxy.v3.FilterConfig", dns_cache_config=OUTSIDE_DNS)


def _remove_internal_headers() -> Json:
    by_prefix = [{"remove_on_match": {"key_matcher": {"prefix": prefix}}} for prefix in INTERNAL_PREFIXES]
    name = "envoy.filters.http.header_mutation"
    return http_filter(name, "header_mutation.v3.HeaderMutation", mutations={"request_mutations": by_prefix})


def itself(port: int) -> Json:
    """Return the virtual host of requests for the sidecar itself."""
    words = (
        f"this is the outbound listener of a Detour sidecar. Use it as HTTP proxy (http_proxy=http://127.0.0.1:{port}),"
        " or send a service's name as Host."
    )
    answer = {"status": 421, "body": {"inline_string": f"Detour: {words}\n"}}
    return {
        "name": "itself",
        "domains": [f"{host}:{port}" for host in ("127.0.0.1", "localhost", "[::1]")],
        "routes": [{"match": {"prefix": "/"}, "direct_response": answer}],
    }
