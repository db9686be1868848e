"""The configuration that an Envoy starts with, as plain data in Envoy's JSON form (bootstrap v3).

Invariant: pure functions. Routes come by name from the control plane, clusters and endpoints on demand, all on one
delta ADS stream; nothing here depends on the mesh.
"""

from dataclasses import dataclass
from typing import Any

from detour.envoy.vocabulary import (
    EDGE_ROUTES,
    EDGE_ROUTES_TRUSTED,
    FAULT_FILTER,
    LUA_FILTER,
    METADATA,
    MISSING,
    OUTSIDE_DNS,
    SERVED_BY_HEADER,
    TUNNEL_LISTENER,
    TYPE,
    outbound_routes,
)

Json = dict[str, Any]

_ADS = {"ads": {}, "resource_api_version": "V3"}
_FILTERS = TYPE + "envoy.extensions.filters.http."
_UPSTREAM_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_CONTROL_PLANE = "control-plane"
_ON_DEMAND_TIMEOUT = "2s"
_ROUTES_TIMEOUT = "2s"
"""How long a starting Envoy waits for its routes: inbound requests must not wait for an absent control plane."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The Envoy beside one instance.

    Args:
        service: The service that the instance belongs to.
        instance: A name for the instance, unique in the mesh.
        app_port: Where the application listens, on loopback.
        outbound_port: Where the application sends its requests, on loopback.
        inbound_port: Where requests for the application arrive.
        admin_port: Envoy's admin interface, on loopback.
        control_plane: `ip:port` of the control plane's ADS.
        inbound_address: The IP address that the inbound listener binds.
    """

    service: str
    instance: str
    app_port: int
    outbound_port: int = 15001
    inbound_port: int = 15006
    admin_port: int = 15000
    control_plane: str = "127.0.0.1:15010"
    inbound_address: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Edge:
    """The Envoy where outside traffic enters the mesh.

    Args:
        listen: `ip:port` that it serves.
        trust_overrides: Whether overrides in requests from outside are honoured; otherwise they are removed.
    """

    name: str = "edge"
    listen: str = "127.0.0.1:8000"
    admin_port: int = 15000
    control_plane: str = "127.0.0.1:15010"
    trust_overrides: bool = False


def sidecar_bootstrap(sidecar: Sidecar) -> Json:
    """Return the bootstrap of a sidecar: an outbound, an inbound and a tunnel listener."""
    routes = _rds(outbound_routes(sidecar.outbound_port))
    return _bootstrap(
        node={"id": sidecar.instance, "cluster": sidecar.service, "metadata": {"role": "sidecar"}},
        admin_port=sidecar.admin_port,
        control_plane=sidecar.control_plane,
        clusters=[_application(sidecar.app_port)],
        listeners=[
            _listener("outbound", "127.0.0.1", sidecar.outbound_port, _outbound("outbound", routes)),
            _listener("inbound", sidecar.inbound_address, sidecar.inbound_port, _inbound()),
            {
                "name": TUNNEL_LISTENER,
                "internal_listener": {},
                "filter_chains": [{"filters": [_outbound(TUNNEL_LISTENER, routes)]}],
            },
        ],
    )


def edge_bootstrap(edge: Edge) -> Json:
    """Return the bootstrap of an edge: one listener, whose route table says what it serves."""
    address, _, port = edge.listen.rpartition(":")
    routes = _rds(EDGE_ROUTES_TRUSTED if edge.trust_overrides else EDGE_ROUTES)
    guard = {"use_remote_address": True, "normalize_path": True, "generate_request_id": True}
    return _bootstrap(
        node={"id": edge.name, "cluster": "edge", "metadata": {"role": "edge"}},
        admin_port=edge.admin_port,
        control_plane=edge.control_plane,
        clusters=[],
        listeners=[_listener("edge", address.strip("[]"), int(port), _outbound("edge", routes, **guard))],
    )


def _bootstrap(
    *, node: Json, admin_port: int, control_plane: str, clusters: list[Json], listeners: list[Json]
) -> Json:
    internal_listener = TYPE + "envoy.extensions.bootstrap.internal_listener.v3.InternalListener"
    return {
        "node": node,
        "admin": {"address": _address("127.0.0.1", admin_port)},
        "bootstrap_extensions": [
            {"name": "envoy.bootstrap.internal_listener", "typed_config": {"@type": internal_listener}}
        ],
        "dynamic_resources": {"ads_config": _ads_config()},
        "static_resources": {"clusters": [_control_plane(control_plane), *clusters], "listeners": listeners},
    }


def _ads_config() -> Json:
    envoy_grpc = {
        "cluster_name": _CONTROL_PLANE,
        "retry_policy": {"retry_back_off": {"base_interval": "0.1s", "max_interval": "2s"}},
    }
    return {
        "api_type": "DELTA_GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [{"envoy_grpc": envoy_grpc}],
    }


def _control_plane(control_plane: str) -> Json:
    address, _, port = control_plane.rpartition(":")
    keepalive = {"interval": "10s", "timeout": "5s"}
    http2 = {"explicit_http_config": {"http2_protocol_options": {"connection_keepalive": keepalive}}}
    return {
        "name": _CONTROL_PLANE,
        "type": "STRICT_DNS",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": _protocol(http2),
        "load_assignment": _assignment(_CONTROL_PLANE, address.strip("[]"), int(port)),
    }


def _application(port: int) -> Json:
    options = {"http_protocol_options": {}, "http2_protocol_options": {"allow_connect": True}}
    return {
        "name": "application",
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [_without_limits()]},
        "typed_extension_protocol_options": _protocol({"use_downstream_protocol_config": options}),
        "load_assignment": _assignment("application", "127.0.0.1", port),
    }


def _without_limits() -> Json:
    many = 2**31 - 1
    return {"max_connections": many, "max_pending_requests": many, "max_requests": many}


def _protocol(options: Json) -> Json:
    return {_UPSTREAM_OPTIONS: {"@type": TYPE + _UPSTREAM_OPTIONS, **options}}


def _assignment(name: str, address: str, port: int) -> Json:
    endpoint = {"endpoint": {"address": _address(address, port)}}
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}


def _address(address: str, port: int) -> Json:
    return {"socket_address": {"address": address, "port_value": port}}


def _listener(name: str, address: str, port: int, http: Json) -> Json:
    return {
        "name": name,
        "address": _address(address, port),
        # A port that another Envoy has is busy, not to be shared with it.
        "enable_reuse_port": False,
        "filter_chains": [{"filters": [http]}],
    }


def _rds(name: str) -> Json:
    source = {**_ADS, "initial_fetch_timeout": _ROUTES_TIMEOUT}
    return {"rds": {"route_config_name": name, "config_source": source}}


def _outbound(stat_prefix: str, routes: Json, **options: object) -> Json:
    filters = [
        _filter("envoy.filters.http.on_demand", "on_demand.v3.OnDemand", odcds=_odcds()),
        # Both act only on the routes that switch them on: those that match a fault override, or strip overrides.
        {**_filter(LUA_FILTER, "lua.v3.Lua"), "disabled": True},
        {**_filter(FAULT_FILTER, "fault.v3.HTTPFault"), "disabled": True},
        _filter(
            "envoy.filters.http.dynamic_forward_proxy",
            "dynamic_forward_proxy.v3.FilterConfig",
            dns_cache_config=OUTSIDE_DNS,
        ),
    ]
    upgrades = [{"upgrade_type": "websocket"}, {"upgrade_type": "CONNECT"}]
    return _http(
        stat_prefix,
        filters,
        {**routes, "upgrade_configs": upgrades, "local_reply_config": _replies(), **options},
    )


def _odcds() -> Json:
    return {"source": _ADS, "timeout": _ON_DEMAND_TIMEOUT}


def _inbound() -> Json:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "application", "timeout": "0s"}}
    virtual_host = {"name": "application", "domains": ["*"], "routes": [route]}
    routes = {"name": "inbound", "validate_clusters": False, "virtual_hosts": [virtual_host]}
    return _http("inbound", [], {"route_config": routes, "upgrade_configs": [{"upgrade_type": "websocket"}]})


def _http(stat_prefix: str, filters: list[Json], options: Json) -> Json:
    """Return an HTTP connection manager that is as transparent as Envoy can be.

    Idle streams are not ended: a WebSocket or a gRPC stream may be silent for as long as its ends agree.
    """
    # Neither request nor response tells of Envoy: not of its timings, nor of its own headers.
    router = _filter("envoy.filters.http.router", "router.v3.Router", suppress_envoy_headers=True)
    manager = {
        "@type": TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": stat_prefix,
        "stream_idle_timeout": "0s",
        "generate_request_id": False,
        "server_header_transformation": "PASS_THROUGH",
        "http2_protocol_options": {"allow_connect": True},
        "http_filters": [*filters, router],
        **options,
    }
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def _filter(name: str, kind: str, **config: object) -> Json:
    return {"name": name, "typed_config": {"@type": _FILTERS + kind, **config}}


def _replies() -> Json:
    """Say in words what Envoy's own answers say with a flag (access log docs, "%RESPONSE_FLAGS%")."""
    return {
        "mappers": [
            _reply("UH", f"%METADATA(CLUSTER:{METADATA}:{MISSING})%", served_by=True),
            _reply("DF", "the mesh has no service %REQ(:AUTHORITY)%, and DNS does not know that name"),
            _reply("NC", f"the control plane did not say within {_ON_DEMAND_TIMEOUT} where %REQ(:AUTHORITY)% is"),
            _reply("NR", "this Envoy has no routes: it has not reached the control plane yet", status=503),
            _reply("UMSDR", "%UPSTREAM_CLUSTER% did not answer within its timeout", status=504),
        ]
    }


def _reply(flag: str, words: str, *, status: int = 0, served_by: bool = False) -> Json:
    reply: Json = {
        "filter": {"response_flag_filter": {"flags": [flag]}},
        "body_format_override": {"text_format_source": {"inline_string": f"Detour: {words}\n"}},
    }
    if status:
        reply["status_code"] = status
    if served_by:
        header = {"key": SERVED_BY_HEADER, "value": "%UPSTREAM_CLUSTER%"}
        reply["headers_to_add"] = [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]
    return reply
