"""How a sidecar handles requests while the control plane does not answer.

Requests without overrides are forwarded as without Detour: to the original destination in transparent mode,
otherwise to the host that DNS resolves. Requests with overrides are refused.

- A sidecar that has never reached the control plane has no route table. Its outbound listener runs the connection
  manager below, until the control plane sends another one (ECDS). That one replaces this one connection by
  connection, so the fallback costs nothing per request afterwards.
- A sidecar that has a route table but lacks a host's cluster sends the request to an internal listener. That
  listener requests the cluster from the control plane and does not wait long for the answer. No other requests pass
  it.

Invariant: a request waits for the control plane only if it cannot be forwarded without it.
"""

from collections.abc import Callable, Sequence
from typing import Final

from detour.envoy.connection_manager import Json, as_downstream, connection_manager, http_filter
from detour.envoy.control_plane import on_demand_filter
from detour.envoy.lua import (
    answered_source,
    ask_source,
    closed_source,
    connect_source,
    known_source,
    way_out_source,
)
from detour.envoy.outside import forward_proxy, itself, outside_cluster
from detour.envoy.transparency import COMMON_DOWNSTREAM, LIMITS
from detour.envoy.tunnel_out import bytes_cluster, outbound_cluster
from detour.envoy.vocabulary import (
    ASK_FILTER,
    ASKING_LISTENER,
    FORWARD_PROXY_FILTER,
    LUA_FILTER,
    METADATA,
    NO_ANSWER_CLUSTER,
    NO_ANSWER_HEADER,
    NO_ANSWER_LISTENER,
    OUT,
    OUTBOUND_MANAGER,
    PLAIN,
    RESOLVER_LISTENER,
    TIMEOUT_FILTER,
    TUNNEL_BYTES_CLUSTER,
    TUNNEL_LISTENER,
    TUNNEL_OUT_CLUSTER,
    TUNNEL_OUT_LISTENER,
    TUNNEL_QUESTION_HEADER,
    TYPE,
    UNKNOWN_CLUSTER,
    UNKNOWN_LISTENER,
    WAY_OUT_FILTER,
)

PATIENCE_MS: Final = 50
"""How long a request that could be forwarded without the control plane's answer waits for it.

The answer usually takes 5 to 10 ms."""

NO_ROUTES: Final = (
    "this sidecar has not reached the control plane yet and cannot route overrides;"
    " requests without overrides are forwarded"
)
"""The error for a request with overrides."""

_MESH_CLUSTER: Final = "@mesh"
_ASKING_CLUSTER: Final = "@asking"
_RESOLVER_CLUSTER: Final = "@resolver"

_REQUESTS_MAX: Final = 100
"""Maximum number of requests per connection: the next connection may already use the control plane's manager."""


def discovered(fallback: Json, source: Json) -> Json:
    """Return a network filter that the control plane configures; until then it is `fallback`.

    Args:
        fallback: A connection manager, as a network filter.
        source: The config source of the control plane's version.
    """
    config = fallback["typed_config"]
    discovery = {"config_source": source, "default_config": config, "type_urls": [config["@type"]]}
    return {"name": OUTBOUND_MANAGER, "config_discovery": discovery}


def fallback_options() -> Json:
    """Return the options and routes of the connection manager that works without a control plane."""
    plain = {"match": {"prefix": "/", "dynamic_metadata": [_noted(PLAIN)]}, **_to(UNKNOWN_CLUSTER)}
    carriers = (
        {"name": "baggage", "string_match": {"contains": "override."}},
        # Some propagators percent-encode characters that do not need it.
        {"name": "baggage", "string_match": {"contains": "%"}},
        {"name": "x-ot-span-context", "present_match": True},
    )
    everything = _everything(
        [
            _no_deployment_in_host(),
            *_tunnels(),
            plain,
            *(_maybe_overrides(carrier) for carrier in carriers),
            {"match": {"prefix": "/"}, **_to(UNKNOWN_CLUSTER)},
        ]
    )
    plugins = [
        _specifier("end of a tunnel", connect_source()),
        _specifier("known tunnel", known_source(TUNNEL_OUT_CLUSTER, "connect@")),
    ]
    return {
        **_routes("fallback", [everything], cluster_specifier_plugins=plugins),
        "common_http_protocol_options": {**COMMON_DOWNSTREAM, "max_requests_per_connection": _REQUESTS_MAX},
    }


def unknown_listener(manager: Callable[..., Json], outbound_port: int) -> Json:
    """Return the listener of requests to hosts whose cluster the sidecar does not hold (yet).

    It requests the cluster from the control plane.

    Args:
        manager: Builds a connection manager from a name, routes, and filters that precede its own.
        outbound_port: The port that the application sends its requests to.
    """
    known = {"cluster_specifier_plugin": "known host", "timeout": "0s"}
    hosts = [itself(outbound_port), _everything([{"match": {"prefix": "/"}, "route": known}])]
    plugins = [_specifier("known host", known_source(NO_ANSWER_CLUSTER))]
    routes = _routes(UNKNOWN_LISTENER, hosts, cluster_specifier_plugins=plugins, **_TIMED)
    return internal_listener(UNKNOWN_LISTENER, manager(UNKNOWN_LISTENER, routes, [_ask()]))


def no_answer_listener(manager: Callable[..., Json], *, by_dns: bool) -> Json:
    """Return the listener of requests whose host's cluster did not arrive in time.

    They are forwarded as without Detour. If that is not possible, they continue to wait.

    Args:
        manager: Builds a connection manager from a name, routes, and filters that precede its own.
        by_dns: Whether requests are forwarded to the host that DNS resolves, instead of their original destination.
    """
    out = {"match": {"prefix": "/", "dynamic_metadata": [_noted(OUT)]}, **_to(outside_cluster()["name"])}
    known = {"match": {"prefix": "/"}, **_to(outside_cluster()["name"])}
    everything = _everything([out, _by_authority()] if by_dns else [known])
    marked = {"header": {"key": NO_ANSWER_HEADER, "value": "1"}}
    everything["response_headers_to_add"] = [marked]
    filters = [_way_out(), forward_proxy()] if by_dns else []
    return internal_listener(
        NO_ANSWER_LISTENER,
        manager(NO_ANSWER_LISTENER, _routes(NO_ANSWER_LISTENER, [everything], **_TIMED), filters),
    )


def tunnel_filters() -> list[Json]:
    """Return the filters of CONNECT requests; their routes enable them."""
    return [{**one, "disabled": True} for one in (_ask(), _way_out())]


def _ask() -> Json:
    return _lua(ASK_FILTER, ask_source(_ASKING_CLUSTER, PATIENCE_MS))


def _way_out() -> Json:
    return _lua(WAY_OUT_FILTER, way_out_source(_RESOLVER_CLUSTER))


def internal_listener(name: str, manager: Json) -> Json:
    """Return a listener that only clusters of the same Envoy can reach."""
    return {"name": name, "internal_listener": {}, "filter_chains": [{"filters": [manager]}]}


def asking_listener() -> Json:
    """Return the listener that answers 204 once the control plane has answered for the request's host."""
    tunnel = {"prefix": "/", "headers": [{"name": TUNNEL_QUESTION_HEADER, "present_match": True}]}
    end_of_tunnel = {"match": tunnel, "route": {"cluster_specifier_plugin": "end of a tunnel"}}
    plugins = [_specifier("end of a tunnel", connect_source())]
    hosts = [_everything([end_of_tunnel, _by_authority()])]
    routes = _routes(ASKING_LISTENER, hosts, cluster_specifier_plugins=plugins)
    return _answering(ASKING_LISTENER, on_demand_filter(), routes)


def resolver_listener() -> Json:
    """Return the listener that answers 204 if DNS resolves the request's host; it opens no connection."""
    routes = _routes(RESOLVER_LISTENER, [_everything([{"match": {"prefix": "/"}, **_to(TUNNEL_BYTES_CLUSTER)}])])
    return _answering(RESOLVER_LISTENER, forward_proxy(), routes)


def _answering(name: str, asked: Json, routes: Json) -> Json:
    """Return a listener that answers 204 to the requests that a filter lets through, and forwards none."""
    filters = [asked, _lua(LUA_FILTER, answered_source())]
    return internal_listener(name, connection_manager(name, filters, **routes))


def fail_open_clusters(outbound_port: int, *, by_dns: bool) -> Sequence[Json]:
    """Return the clusters that failing open needs.

    Args:
        outbound_port: The port that the application sends its requests to.
        by_dns: As above. Otherwise, a client that sends CONNECT talks to another proxy than this sidecar, and the
            content of its tunnel is not inspected.
    """
    tunnels = _internal(TUNNEL_OUT_CLUSTER, TUNNEL_OUT_LISTENER)
    passed_on = {**bytes_cluster(), "name": TUNNEL_OUT_CLUSTER}
    return (
        _internal(UNKNOWN_CLUSTER, UNKNOWN_LISTENER),
        _internal(NO_ANSWER_CLUSTER, NO_ANSWER_LISTENER),
        _internal(_MESH_CLUSTER, TUNNEL_LISTENER),
        _internal(_ASKING_CLUSTER, ASKING_LISTENER),
        _internal(_RESOLVER_CLUSTER, RESOLVER_LISTENER),
        *((tunnels, outbound_cluster(outbound_port)) if by_dns else (passed_on,)),
        bytes_cluster(),
    )


def _internal(name: str, listener: str) -> Json:
    """Return a cluster that leads to a listener of the same Envoy, with the request's own protocol."""
    sockets = TYPE + "envoy.extensions.transport_sockets."
    plain = {
        "name": "envoy.transport_sockets.raw_buffer",
        "typed_config": {"@type": sockets + "raw_buffer.v3.RawBuffer"},
    }
    handing_on = {
        "@type": sockets + "internal_upstream.v3.InternalUpstreamTransport",
        "transport_socket": plain,
    }
    endpoint = {"endpoint": {"address": {"envoy_internal_address": {"server_listener_name": listener}}}}
    return {
        "name": name,
        "alt_stat_name": listener,
        "type": "STATIC",
        "circuit_breakers": LIMITS,
        "transport_socket": {"name": "envoy.transport_sockets.internal_upstream", "typed_config": handing_on},
        "typed_extension_protocol_options": as_downstream(),
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _no_deployment_in_host() -> Json:
    """As in the control plane's table (`detour.xds.routes`): names with @ are clusters, not hosts."""
    words = "Detour: a host name cannot contain @; to choose a deployment, use the baggage header.\n"
    match = {"prefix": "/", "headers": [{"name": ":authority", "string_match": {"contains": "@"}}]}
    return {"match": match, "direct_response": {"status": 400, "body": {"inline_string": words}}}


def _tunnels() -> list[Json]:
    """Terminate a client's CONNECT: the first route is for hosts without an answer, the last requests a cluster."""
    upgrades = [{"upgrade_type": "CONNECT", "connect_config": {}}]
    actions: tuple[tuple[Json, str], ...] = (
        ({"dynamic_metadata": [_noted(OUT)]}, "known tunnel"),
        ({}, "end of a tunnel"),
    )
    filters = (ASK_FILTER, WAY_OUT_FILTER, FORWARD_PROXY_FILTER)
    return [
        {
            "match": {"connect_matcher": {}, **match},
            "route": {"cluster_specifier_plugin": plugin, "timeout": "0s", "upgrade_configs": upgrades},
            "typed_per_filter_config": {name: _enabled() for name in filters},
        }
        for match, plugin in actions
    ]


def _maybe_overrides(header: Json) -> Json:
    """Refuse requests with overrides, with a reason: without a route table they cannot be routed."""
    code = {
        "@type": TYPE + "envoy.extensions.filters.http.lua.v3.LuaPerRoute",
        "source_code": {"inline_string": closed_source()},
    }
    return {
        "match": {"prefix": "/", "headers": [header]},
        **_to(_MESH_CLUSTER),
        "typed_per_filter_config": {LUA_FILTER: _enabled(code)},
    }


def _routes(name: str, virtual_hosts: list[Json], **more: object) -> Json:
    return {"route_config": {"name": name, "virtual_hosts": virtual_hosts, **more}}


def _everything(routes: list[Json]) -> Json:
    return {"name": "everything", "domains": ["*"], "routes": routes}


def _by_authority() -> Json:
    return {"match": {"prefix": "/"}, "route": {"cluster_header": ":authority", "timeout": "0s"}}


def _to(cluster: str) -> Json:
    return {"route": {"cluster": cluster, "timeout": "0s"}}


def _noted(key: str) -> Json:
    return {"filter": METADATA, "path": [{"key": key}], "value": {"bool_match": True}}


def _specifier(name: str, source: str) -> Json:
    kind = TYPE + "envoy.extensions.router.cluster_specifiers.lua.v3.LuaConfig"
    config = {"@type": kind, "source_code": {"inline_string": source}}
    return {"extension": {"name": name, "typed_config": config}}


def _enabled(config: Json | None = None) -> Json:
    return {"@type": TYPE + "envoy.config.route.v3.FilterConfig", "config": config or {}}


def _lua(name: str, source: str) -> Json:
    made = http_filter(LUA_FILTER, "lua.v3.Lua", default_source_code={"inline_string": source})
    return {**made, "name": name}


_TIMED: Final[Json] = {"typed_per_filter_config": {TIMEOUT_FILTER: _enabled()}}
"""Timeouts of services apply here, too."""
