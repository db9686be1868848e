"""The configuration that an Envoy starts with, as plain data in Envoy's JSON form (bootstrap v3).

Invariant: pure functions. Routes come by name from the control plane, clusters and endpoints on demand, all on one
delta ADS stream; nothing here depends on the mesh.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from detour.envoy.admin import admin, admin_cluster, admin_filter
from detour.envoy.connection_manager import (
    Json,
    as_downstream,
    connection_manager,
    http_filter,
    router,
    routes_to,
    timeout_filter,
    upstream_protocol,
)
from detour.envoy.fail_open import (
    NO_ROUTES,
    discovered,
    fail_open_clusters,
    fallback_options,
    no_answer_listener,
    resolver_listener,
    tunnel_filters,
    unknown_listener,
)
from detour.envoy.identity import ClientTls, client_socket
from detour.envoy.lua import edge_faults_source, enter_source, guard_source, scenario_source
from detour.envoy.outside import forward_proxy, outside_cluster, outside_listener
from detour.envoy.proxied import behind
from detour.envoy.replies import inbound_replies, outbound_replies
from detour.envoy.reports import hop_log, load_reports
from detour.envoy.scenario_name import scenario_name
from detour.envoy.transparency import CONNECT_SECONDS, DOWNSTREAM, LASTING, LIMITS, RUNTIME
from detour.envoy.transparent import original_destination_cluster, transparent_listener
from detour.envoy.tunnel import tunnel_listener
from detour.envoy.tunnel_out import note_host, tunnel_out_listener
from detour.envoy.vocabulary import (
    ADD_SCENARIO,
    EDGE_ROUTES,
    EDGE_ROUTES_TRUSTED,
    ENTER,
    ENTER_FILTER,
    ENVOYS_OWN,
    FAULT_FILTER,
    FAULTS,
    FAULTS_OF_BOTH,
    GUARD,
    LOOKED_AT,
    LOOKED_AT_BY_EDGES,
    LUA_FILTER,
    ON_DEMAND_FILTER,
    OUTBOUND_ROUTES,
    SCENARIO_FILTER,
    TOKEN_FILTER,
    TOLD,
    TOLD_BY_EDGES,
    TUNNEL_LISTENER,
    TYPE,
)
from detour.mesh import TrustedProxies

_ADS = {"ads": {}, "resource_api_version": "V3"}
_CONTROL_PLANE = "@control-plane"
_APPLICATION = "@application"
_ON_DEMAND_TIMEOUT = "5s"
"""How long a request waits for the control plane: longer than a restart of it takes."""
_STARTING_TIMEOUT = "2s"
"""How long a starting Envoy waits for each thing that it begins with: inbound requests must not wait for an absent
control plane."""
_NO_ROUTES_AT_EDGE = "this edge has no routes: it has not reached the control plane yet"
_BEGINNING = {**_ADS, "initial_fetch_timeout": _STARTING_TIMEOUT}
_SIDECAR_BEGINNING = {**_ADS, "initial_fetch_timeout": "0.5s"}
"""A sidecar can do without the control plane, and does not wait long for it."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The Envoy beside one instance.

    Args:
        service: The service that the instance belongs to.
        instance: A name for the instance, unique in the mesh.
        app_port: Where the application listens, on loopback; None if callers reach it without its sidecar.
        outbound_port: Where the application sends its requests, on loopback.
        inbound_port: Where requests for the application arrive.
        admin_port: What only reads of Envoy's admin interface, on loopback.
        admin_socket: The file of a Unix socket with all of it, for the user who runs Envoy; without one there is an
            abstract socket, with what only reads.
        control_plane: `ip:port` of the control plane's ADS.
        inbound_address: The IP address that the inbound listener binds.
        namespace: The Kubernetes namespace that the instance runs in.
        deployment: The offloaded deployment that the instance is part of; empty for the baseline.
        tls: How it proves who it is to the control plane; None speaks plain text.
        probe_port: Where `GET /ready` is answered with 200 once every listener serves, on all IPv4 addresses.
        probe_address: Another address for it, such as a pod's.
        transparent_port: Where connections are redirected to, on loopback, by rules that the kernel has. There is
            no outbound listener beside it: what the application sends is taken anyway.

    Addresses may be text that is replaced before Envoy reads it, such as Kubernetes' `$(POD_IP)`.
    """

    service: str
    instance: str
    app_port: int | None = None
    outbound_port: int = 15001
    inbound_port: int = 15006
    admin_port: int = 15000
    control_plane: str = "127.0.0.1:15010"
    inbound_address: str = "127.0.0.1"
    namespace: str = ""
    tls: ClientTls | None = None
    probe_port: int | None = None
    probe_address: str = "0.0.0.0"
    transparent_port: int | None = None
    deployment: str = ""
    admin_socket: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """The Envoy where outside traffic enters the mesh.

    Args:
        listen: `ip:port` that it serves.
        trust_overrides: Whether overrides in requests from outside are honoured; otherwise they are removed.
        trusted_proxies: Whom in front of it the edge believes.
    """

    name: str = "edge"
    listen: str = "127.0.0.1:8000"
    admin_port: int = 15000
    control_plane: str = "127.0.0.1:15010"
    trust_overrides: bool = False
    admin_socket: str = ""
    trusted_proxies: TrustedProxies = field(default_factory=TrustedProxies)


def sidecar_bootstrap(sidecar: Sidecar) -> Json:
    """Return the bootstrap of a sidecar.

    Beside its outbound and inbound listeners it has two internal ones: the end of CONNECT tunnels, and the way out
    of the mesh.
    """
    is_transparent = sidecar.transparent_port is not None
    known = {"namespace": sidecar.namespace, "deployment": sidecar.deployment}
    metadata: Json = {"role": "sidecar", **{name: value for name, value in known.items() if value}}
    metadata["ports"] = _own_ports(
        sidecar.admin_port, sidecar.outbound_port, sidecar.transparent_port, sidecar.probe_port
    )
    return _bootstrap(
        node={"id": sidecar.instance, "cluster": sidecar.service, "metadata": metadata},
        admin_at=(sidecar.admin_socket, sidecar.admin_port),
        control_plane=_control_plane(sidecar.control_plane, sidecar.tls),
        clusters=[
            *([_application(sidecar.app_port)] if sidecar.app_port is not None else ()),
            original_destination_cluster() if is_transparent else outside_cluster(),
            *fail_open_clusters(sidecar.outbound_port, by_dns=not is_transparent),
        ],
        # The internal ones first: they ask for the route table before others ask for a manager that needs it.
        listeners=[*_internal_listeners(sidecar), *_sidecar_listeners(sidecar)],
        looked_at=LOOKED_AT,
        told=TOLD,
    )


def _own_ports(*ports: int | None) -> list[int]:
    """Name the ports that are the Envoy's own, so that the server lets nobody register them as instances."""
    return sorted({port for port in ports if port is not None})


def _sidecar_listeners(sidecar: Sidecar) -> Iterator[Json]:
    fallback = _outbound("outbound", {}, for_tunnels=_for_tunnels(), **fallback_options())
    http = discovered(fallback, _SIDECAR_BEGINNING)
    if sidecar.transparent_port is not None:
        yield transparent_listener(sidecar.transparent_port, http)
    else:
        yield _listener("outbound", "127.0.0.1", sidecar.outbound_port, http)
        yield tunnel_out_listener()
    if sidecar.app_port is not None:
        yield _listener("inbound", sidecar.inbound_address, sidecar.inbound_port, _inbound(sidecar.app_port))
    if sidecar.probe_port is not None:
        yield _listener("probe", sidecar.probe_address, sidecar.probe_port, _probe())


def outbound_manager(stat_prefix: str = "outbound") -> Json:
    """Return the connection manager of requests from the application, once there is a route table."""
    routes = {"rds": {"route_config_name": OUTBOUND_ROUTES, "config_source": _SIDECAR_BEGINNING}}
    return _outbound(stat_prefix, routes, for_tunnels=_for_tunnels(), **LASTING)


def _for_tunnels() -> list[Json]:
    """Return the filters of CONNECT requests; only their routes switch those on that take time."""
    return [*tunnel_filters(), {**forward_proxy(), "disabled": True}, note_host()]


def _internal_listeners(sidecar: Sidecar) -> Iterator[Json]:
    yield tunnel_listener(outbound_manager(TUNNEL_LISTENER))
    yield unknown_listener(_manager_of, sidecar.outbound_port)
    yield no_answer_listener(_manager_of, by_dns=sidecar.transparent_port is None)
    yield resolver_listener()
    yield outside_listener(sidecar.outbound_port, _CONTROL_PLANE)


def _manager_of(stat_prefix: str, routes: Json, filters: Sequence[Json]) -> Json:
    return _outbound(stat_prefix, routes, asking=filters)


def edge_bootstrap(edge: Edge) -> Json:
    """Return the bootstrap of an edge: one listener, whose route table says what it serves."""
    address, _, port = edge.listen.rpartition(":")
    http = behind(edge.trusted_proxies, _edge_manager(trust_overrides=edge.trust_overrides))
    metadata: Json = {"role": "edge", "ports": _own_ports(edge.admin_port, int(port))}
    made = _bootstrap(
        node={"id": edge.name, "cluster": "edge", "metadata": metadata},
        admin_at=(edge.admin_socket, edge.admin_port),
        control_plane=_control_plane(edge.control_plane),
        clusters=[],
        listeners=[_listener("edge", address.strip("[]"), int(port), http)],
        looked_at=LOOKED_AT_BY_EDGES,
        told=TOLD_BY_EDGES,
    )
    # The clusters of the services that it serves, before its routes: nearly no request has to look for one.
    made["dynamic_resources"]["cds_config"] = _BEGINNING
    return made


def _edge_manager(*, trust_overrides: bool) -> Json:
    """Return the connection manager of requests from outside, at an edge that nobody stands in front of."""
    routes = _rds(EDGE_ROUTES_TRUSTED if trust_overrides else EDGE_ROUTES)
    guard: Json = {"use_remote_address": True, "generate_request_id": True}
    if not trust_overrides:
        guard["early_header_mutation_extensions"] = [_without(ENVOYS_OWN)]
    scripts = {name: edge_faults_source(opentracing=name == FAULTS_OF_BOTH) for name in (FAULTS, FAULTS_OF_BOTH)}
    scripts[GUARD] = guard_source()
    first = [_enter(), scenario_name(), _token_check()]
    made = _outbound("edge", routes, _scenario(), first=first, scripts=scripts, **guard)
    _store_no_replies(made)
    return made


def _store_no_replies(http: Json) -> None:
    """Keep what an edge answers itself out of caches in front of it: a fault, or a deployment that is missing."""
    mappers = http["typed_config"]["local_reply_config"]["mappers"]
    mappers.append({"filter": {"response_flag_filter": {"flags": ["FI"]}}})
    header = {"key": "cache-control", "value": "no-store"}
    added = {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    for mapper in mappers:
        mapper["headers_to_add"] = [*mapper.get("headers_to_add", ()), added]


def _without(prefix: str) -> Json:
    """Take headers out of requests before Envoy looks at them, by what their names begin with."""
    kind = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    removed = {"remove_on_match": {"key_matcher": {"prefix": prefix}}}
    config = {"@type": TYPE + kind, "mutations": [removed]}
    return {"name": "envoy.http.early_header_mutation.header_mutation", "typed_config": config}


def _bootstrap(
    *,
    node: Json,
    admin_at: tuple[str, int],
    control_plane: Json,
    clusters: list[Json],
    listeners: list[Json],
    looked_at: Sequence[str],
    told: Sequence[str],
) -> Json:
    internal_listener = TYPE + "envoy.extensions.bootstrap.internal_listener.v3.InternalListener"
    return {
        "node": node,
        "admin": admin(*admin_at),
        "bootstrap_extensions": [
            {"name": "envoy.bootstrap.internal_listener", "typed_config": {"@type": internal_listener}}
        ],
        "cluster_manager": load_reports(_CONTROL_PLANE),
        "inline_headers": [
            *({"inline_header_name": name, "inline_header_type": "REQUEST_HEADER"} for name in looked_at),
            *({"inline_header_name": name, "inline_header_type": "RESPONSE_HEADER"} for name in told),
        ],
        "layered_runtime": {"layers": [{"name": "transparency", "static_layer": RUNTIME}]},
        "dynamic_resources": {"ads_config": _ads_config()},
        "static_resources": {
            "clusters": [control_plane, *clusters, admin_cluster(*admin_at)],
            "listeners": [*listeners, _listener("admin", "127.0.0.1", admin_at[1], admin_filter())],
        },
    }


def _ads_config() -> Json:
    envoy_grpc = {
        "cluster_name": _CONTROL_PLANE,
        "retry_policy": {"retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}},
    }
    return {
        "api_type": "DELTA_GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [{"envoy_grpc": envoy_grpc}],
    }


def _control_plane(control_plane: str, tls: ClientTls | None = None) -> Json:
    host, _, port = control_plane.rpartition(":")
    host = host.strip("[]")
    keepalive = {"interval": "10s", "timeout": "5s"}
    http2 = {"explicit_http_config": {"http2_protocol_options": {"connection_keepalive": keepalive}}}
    return {
        "name": _CONTROL_PLANE,
        "alt_stat_name": "control-plane",
        "type": "STRICT_DNS",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": upstream_protocol(**http2),
        "load_assignment": _assignment(_CONTROL_PLANE, host, int(port)),
        **({"transport_socket": client_socket(tls, host)} if tls else {}),
    }


def _application(port: int) -> Json:
    return {
        "name": _APPLICATION,
        "alt_stat_name": "application",
        "type": "STATIC",
        "connect_timeout": f"{CONNECT_SECONDS}s",
        "circuit_breakers": LIMITS,
        "typed_extension_protocol_options": as_downstream(),
        "load_assignment": _assignment(_APPLICATION, "127.0.0.1", port),
    }


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
    return {"rds": {"route_config_name": name, "config_source": _BEGINNING}}


def _outbound(
    stat_prefix: str,
    routes: Json,
    *more_filters: Json,
    first: Sequence[Json] = (),
    asking: Sequence[Json] = (),
    for_tunnels: Sequence[Json] = (),
    scripts: Mapping[str, str] | None = None,
    **options: object,
) -> Json:
    filters = [
        *({**one, "disabled": True} for one in first),
        *asking,
        http_filter(ON_DEMAND_FILTER, "on_demand.v3.OnDemand", odcds=_odcds()),
        # These act only on routes that switch them on: those of faults, and those that strip overrides.
        {**_lua(LUA_FILTER, scripts or {}), "disabled": True},
        {**http_filter(FAULT_FILTER, "fault.v3.HTTPFault"), "disabled": True},
        *({**one, "disabled": True} for one in more_filters),
        timeout_filter(),
    ]
    replies = outbound_replies(_NO_ROUTES_AT_EDGE if stat_prefix == "edge" else NO_ROUTES, _ON_DEMAND_TIMEOUT)
    # A chain of its own, for every other request would pay for each filter in it, though it is off.
    connect = {"filters": [*for_tunnels, *filters, router()]} if for_tunnels else {}
    upgrades = [*DOWNSTREAM["upgrade_configs"], {"upgrade_type": "CONNECT", **connect}]
    return connection_manager(
        stat_prefix,
        filters,
        **routes,
        upgrade_configs=upgrades,
        # A dot at the end is the same host to DNS, and would be another one to routes.
        strip_trailing_host_dot=True,
        local_reply_config={"mappers": replies},
        access_log=[hop_log(_CONTROL_PLANE)],
        **options,
    )


def _lua(name: str, scripts: Mapping[str, str]) -> Json:
    """Run Lua, which chooses no other route: a request that it changes keeps all that its route says."""
    config: Json = {"clear_route_cache": False}
    if scripts:
        config["source_codes"] = {key: {"inline_string": code} for key, code in scripts.items()}
    return {**http_filter(LUA_FILTER, "lua.v3.Lua", **config), "name": name}


def _enter() -> Json:
    # What it does to a response it does on whatever route the request has come to.
    made = _lua(ENTER_FILTER, {ENTER: enter_source()})
    made["typed_config"]["default_source_code"] = {"inline_string": enter_source()}
    return made


def _scenario() -> Json:
    return _lua(SCENARIO_FILTER, {ADD_SCENARIO: scenario_source()})


def _token_check() -> Json:
    """Let the control plane say which tokens are good; until it has, none is."""
    kind = TYPE + "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
    discovery = {
        "config_source": _BEGINNING,
        "default_config": {"@type": kind},
        "type_urls": [kind],
    }
    return {"name": TOKEN_FILTER, "config_discovery": discovery}


def _odcds() -> Json:
    return {"source": _ADS, "timeout": _ON_DEMAND_TIMEOUT}


def _inbound(app_port: int) -> Json:
    virtual_host = {"name": "application", "domains": ["*"], "routes": routes_to(_APPLICATION)}
    routes = {"name": "inbound", "validate_clusters": False, "virtual_hosts": [virtual_host]}
    replies = {"mappers": inbound_replies(app_port)}
    return connection_manager("inbound", [], route_config=routes, local_reply_config=replies)


def _probe() -> Json:
    """Answer the kubelet: listeners accept only once Envoy is live, so that every answer is a yes."""
    route = {"match": {"path": "/ready"}, "direct_response": {"status": 200, "body": {"inline_string": "ready\n"}}}
    routes = {"name": "probe", "virtual_hosts": [{"name": "probe", "domains": ["*"], "routes": [route]}]}
    return connection_manager("probe", [], route_config=routes)
