"""Route tables (RDS v3): one for every sidecar, one for edges that trust overrides, one for those that do not.

A sidecar's table names no service. Without an override the cluster is the one that the request's authority names,
chosen natively; only a request that carries overrides enters Lua. What the cluster is, the control plane says when
the request first needs it.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2 as components_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.router.cluster_specifiers.lua.v3 import lua_pb2 as specifier_pb2
from envoy.type.matcher.v3 import string_pb2
from envoy.type.v3 import percent_pb2
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from detour.envoy.lua import override_source, strip_source
from detour.envoy.vocabulary import (
    EDGE_ROUTES,
    EDGE_ROUTES_TRUSTED,
    FAULT_FILTER,
    LUA_FILTER,
    METADATA,
    SERVED_BY,
    SERVED_BY_HEADER,
    outbound_routes,
)
from detour.mesh import Carrier, Mesh
from detour.xds.messages import packed

_BY_CLUSTER: Final = "%UPSTREAM_CLUSTER%"
_BY_ENDPOINT: Final = f"%UPSTREAM_METADATA({METADATA}:{SERVED_BY})%"
"""Costs more, and is right also where an override falls back to the baseline."""

_UNLIMITED: Final = Duration()
_ANY_PATH: Final = "/"
_ALWAYS: Final = percent_pb2.FractionalPercent(numerator=100)
_FAULTS: Final = ("override.delay.", "override.abort.")
_FROM_OUTSIDE: Final = (
    "x-ot-span-context",
    "x-envoy-original-dst-host",
    *(f"x-envoy-fault-{name}" for name in ("delay-request", "abort-request", "abort-grpc-request")),
    *(f"x-envoy-fault-{name}-percentage" for name in ("delay-request", "abort-request", "throughput-response")),
    "x-envoy-fault-throughput-response",
    SERVED_BY_HEADER,
)
"""Internal headers that are removed from requests that come from outside, whatever address they come from."""


def route_table(name: str, mesh: Mesh) -> route_pb2.RouteConfiguration | None:
    """Return the route table of that name; None if there is none."""
    if name == EDGE_ROUTES_TRUSTED:
        return _edge(name, mesh, trusted=True)
    if name == EDGE_ROUTES:
        return _edge(name, mesh, trusted=False)
    port = name.rpartition("/")[2]
    if port.isdecimal() and name == outbound_routes(int(port)):
        return _outbound(name, int(port), mesh.settings.carriers)
    return None


def _outbound(name: str, port: int, carriers: Sequence[Carrier]) -> route_pb2.RouteConfiguration:
    everything = components_pb2.VirtualHost(
        name="everything",
        domains=["*"],
        routes=[
            _refuse_deployment_in_host(),
            _connect(),
            *_override_routes(carriers, service=""),
            _route(components_pb2.RouteAction(cluster_header=":authority"), _BY_CLUSTER),
        ],
    )
    return route_pb2.RouteConfiguration(
        name=name,
        virtual_hosts=[_itself(port), everything],
        cluster_specifier_plugins=[_specifier("", carriers)],
    )


def _itself(port: int) -> components_pb2.VirtualHost:
    """Answer a request that names the sidecar as its destination, instead of sending it there for ever."""
    words = (
        f"this is the outbound listener of a Detour sidecar. Use it as HTTP proxy (http_proxy=http://127.0.0.1:{port}),"
        " or send the name of a service as Host.\n"
    )
    return components_pb2.VirtualHost(
        name="itself",
        domains=[f"{host}:{port}" for host in ("127.0.0.1", "localhost", "[::1]")],
        routes=[_answer(421, words)],
    )


def _refuse_deployment_in_host() -> components_pb2.Route:
    """Keep `@` to clusters that overrides name: `Host: users@pr-42` is no way to choose a deployment."""
    match = components_pb2.RouteMatch(prefix=_ANY_PATH, headers=[_contains(":authority", "@")])
    return _answer(400, "a host name has no @; to choose a deployment use the baggage header.\n", match)


def _connect() -> components_pb2.Route:
    """End a client's CONNECT here, and treat what comes through it like any request."""
    action = _by_lua("")
    upgrade = action.upgrade_configs.add(upgrade_type="CONNECT")
    upgrade.connect_config.SetInParent()
    match = components_pb2.RouteMatch(connect_matcher=components_pb2.RouteMatch.ConnectMatcher())
    return components_pb2.Route(match=match, route=action)


def _edge(name: str, mesh: Mesh, *, trusted: bool) -> route_pb2.RouteConfiguration:
    hosts = mesh.settings.edge_hosts
    virtual_hosts = [
        components_pb2.VirtualHost(
            name=host,
            domains=[host],
            routes=_edge_routes(service, mesh.settings.carriers, trusted=trusted),
            request_headers_to_remove=() if trusted else _FROM_OUTSIDE,
        )
        for host, service in sorted(hosts.items())
    ]
    if "*" not in hosts:
        served = ", ".join(sorted(hosts)) or "none: the mesh file names none under edge.hosts"
        words = f"this edge does not serve that host (it serves {served}).\n"
        virtual_hosts.append(
            components_pb2.VirtualHost(name="unknown", domains=["*"], routes=[_answer(404, words)])
        )
    services = sorted(set(hosts.values())) if trusted else []
    return route_pb2.RouteConfiguration(
        name=name,
        virtual_hosts=virtual_hosts,
        ignore_port_in_host_matching=True,
        cluster_specifier_plugins=[_specifier(service, mesh.settings.carriers) for service in services],
    )


def _edge_routes(service: str, carriers: Sequence[Carrier], *, trusted: bool) -> list[components_pb2.Route]:
    baseline = _route(components_pb2.RouteAction(cluster=service), _BY_CLUSTER)
    if trusted:
        return [*_override_routes(carriers, service=service), baseline]
    stripping = components_pb2.Route()
    stripping.CopyFrom(baseline)
    stripping.match.headers.append(components_pb2.HeaderMatcher(name=Carrier.BAGGAGE, present_match=True))
    stripping.typed_per_filter_config[LUA_FILTER].CopyFrom(_enabled(_lua(strip_source())))
    return [stripping, baseline]


def _override_routes(carriers: Iterable[Carrier], *, service: str) -> Iterable[components_pb2.Route]:
    """Return the routes of requests that carry overrides.

    A request with a fault override needs a filter as well as a cluster; what `x-ot-span-context` holds can't be
    seen from outside, so its mere presence leads into Lua.
    """
    opentracing = Carrier.OPENTRACING in carriers
    enabled = {
        LUA_FILTER: _enabled(_lua(override_source(service=service, opentracing=opentracing))),
        FAULT_FILTER: _enabled(_fault()),
    }
    headers = [_contains(Carrier.BAGGAGE, text) for text in _FAULTS]
    if opentracing:
        headers.append(components_pb2.HeaderMatcher(name=Carrier.OPENTRACING, present_match=True))
    for header in headers:
        route = _overridden(header, service)
        for name, config in enabled.items():
            route.typed_per_filter_config[name].CopyFrom(config)
        yield route
    yield _overridden(_contains(Carrier.BAGGAGE, "override.route."), service)


def _overridden(header: components_pb2.HeaderMatcher, service: str) -> components_pb2.Route:
    route = _route(_by_lua(service), _BY_ENDPOINT)
    route.match.headers.append(header)
    return route


def _route(action: components_pb2.RouteAction, served_by: str) -> components_pb2.Route:
    action.timeout.CopyFrom(_UNLIMITED)
    header = base_pb2.HeaderValueOption(
        header=base_pb2.HeaderValue(key=SERVED_BY_HEADER, value=served_by),
        append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    return components_pb2.Route(
        match=components_pb2.RouteMatch(prefix=_ANY_PATH), route=action, response_headers_to_add=[header]
    )


def _answer(status: int, words: str, match: components_pb2.RouteMatch | None = None) -> components_pb2.Route:
    body = base_pb2.DataSource(inline_string=f"Detour: {words}")
    return components_pb2.Route(
        match=match or components_pb2.RouteMatch(prefix=_ANY_PATH),
        direct_response=components_pb2.DirectResponseAction(status=status, body=body),
    )


def _contains(header: str, text: str) -> components_pb2.HeaderMatcher:
    return components_pb2.HeaderMatcher(name=header, string_match=string_pb2.StringMatcher(contains=text))


def _by_lua(service: str) -> components_pb2.RouteAction:
    return components_pb2.RouteAction(cluster_specifier_plugin=_specifier_name(service), timeout=_UNLIMITED)


def _specifier(service: str, carriers: Iterable[Carrier]) -> components_pb2.ClusterSpecifierPlugin:
    """Return the code that chooses clusters: once in a table, however many routes use it."""
    source = override_source(service=service, opentracing=Carrier.OPENTRACING in carriers)
    made = components_pb2.ClusterSpecifierPlugin()
    made.extension.name = _specifier_name(service)
    config = specifier_pb2.LuaConfig(source_code=base_pb2.DataSource(inline_string=source))
    made.extension.typed_config.CopyFrom(packed(config))
    return made


def _specifier_name(service: str) -> str:
    return f"overrides of {service or 'the host'}"


def _lua(source: str) -> lua_pb2.LuaPerRoute:
    return lua_pb2.LuaPerRoute(source_code=base_pb2.DataSource(inline_string=source))


def _fault() -> fault_pb2.HTTPFault:
    """Let Envoy's fault filter obey the headers that the Lua before it has set."""
    fault = fault_pb2.HTTPFault()
    fault.delay.header_delay.SetInParent()
    fault.delay.percentage.CopyFrom(_ALWAYS)
    fault.abort.header_abort.SetInParent()
    fault.abort.percentage.CopyFrom(_ALWAYS)
    return fault


def _enabled(config: Message) -> Any:
    return packed(components_pb2.FilterConfig(config=packed(config)))
