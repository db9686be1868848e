"""Route tables (RDS v3): one for every sidecar, one for edges that trust overrides, one for those that do not.

A sidecar's table names no service. The first route is for requests without overrides, nearly all of them: two
header matches, and the cluster that the authority names, natively. Only a request whose baggage names a deployment
or a fault enters Lua. What a cluster is, the control plane says when a request first needs it.

A request that carries overrides is told, at each hop, who served it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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

from detour.envoy.lua import connect_source, override_source, strip_source
from detour.envoy.vocabulary import (
    EDGE_ROUTES,
    EDGE_ROUTES_TRUSTED,
    FAULT_FILTER,
    FORWARD_PROXY_FILTER,
    LUA_FILTER,
    METADATA,
    OUTBOUND_ROUTES,
    SERVED_BY,
    SERVED_BY_HEADER,
)
from detour.mesh import Carrier, Mesh, Naming, Settings
from detour.xds.messages import packed

_BY_CLUSTER: Final = "%UPSTREAM_CLUSTER%"
_BY_ENDPOINT: Final = f"%UPSTREAM_METADATA({METADATA}:{SERVED_BY})%"
"""Costs more, and is right also where an override may fall back to the baseline."""

_CONNECT: Final = "end of a tunnel"
_UNLIMITED: Final = Duration()
_ANY_PATH: Final = "/"
_ALWAYS: Final = percent_pb2.FractionalPercent(numerator=100)
_OVERRIDE: Final = "override."
_ROUTE: Final = "override.route."
_MISSING: Final = "override.missing"
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


def route_table(name: str, mesh: Mesh, caller: str = "") -> route_pb2.RouteConfiguration | None:
    """Return the route table of that name for Envoys of a namespace; None if there is none."""
    callers = _Callers(mesh.settings.carriers, mesh.settings.naming, caller)
    if name == EDGE_ROUTES_TRUSTED:
        return _edge(name, mesh.settings, callers, trusted=True)
    if name == EDGE_ROUTES:
        return _edge(name, mesh.settings, callers, trusted=False)
    return _outbound(name, callers) if name == OUTBOUND_ROUTES else None


@dataclass(frozen=True, slots=True)
class _Callers:
    """Whose requests a table is for: the headers that count in them, and what their host names mean."""

    carriers: Sequence[Carrier]
    naming: Naming
    namespace: str

    @property
    def use_opentracing(self) -> bool:
        return Carrier.OPENTRACING in self.carriers

    def source(self, service: str = "") -> str:
        return override_source(
            service=service, opentracing=self.use_opentracing, naming=self.naming, caller=self.namespace
        )


def _outbound(name: str, callers: _Callers) -> route_pb2.RouteConfiguration:
    by_authority = components_pb2.RouteAction(cluster_header=":authority")
    everything = components_pb2.VirtualHost(
        name="everything",
        domains=["*"],
        routes=[
            _plain_route(by_authority, callers, _absent(":authority", "@")),
            _refuse_deployment_in_host(),
            _connect(),
            *_override_routes(callers, service=""),
            _told(_route(by_authority), _BY_CLUSTER),
        ],
    )
    return route_pb2.RouteConfiguration(
        name=name,
        virtual_hosts=[everything],
        cluster_specifier_plugins=[
            _specifier(_CONNECT, connect_source()),
            _specifier(_specifier_name(""), callers.source()),
        ],
    )


def _plain_route(
    action: components_pb2.RouteAction, callers: _Callers, *more: components_pb2.HeaderMatcher
) -> components_pb2.Route:
    """Return the route of requests that carry no override."""
    headers = [_absent(Carrier.BAGGAGE, _OVERRIDE), *more]
    if callers.use_opentracing:
        headers.append(
            components_pb2.HeaderMatcher(name=Carrier.OPENTRACING, present_match=True, invert_match=True)
        )
    return _route(action, *headers)


def _refuse_deployment_in_host() -> components_pb2.Route:
    """Keep `@` to clusters that overrides name: `Host: users@pr-42` is no way to choose a deployment."""
    match = components_pb2.RouteMatch(prefix=_ANY_PATH, headers=[_contains(":authority", "@")])
    return _answer(400, "a host name has no @; to choose a deployment use the baggage header.\n", match)


def _connect() -> components_pb2.Route:
    """End a client's CONNECT here, and treat what comes through it like any request."""
    action = components_pb2.RouteAction(cluster_specifier_plugin=_CONNECT, timeout=_UNLIMITED)
    upgrade = action.upgrade_configs.add(upgrade_type="CONNECT")
    upgrade.connect_config.SetInParent()
    match = components_pb2.RouteMatch(connect_matcher=components_pb2.RouteMatch.ConnectMatcher())
    # A host outside the mesh is resolved when the tunnel to it is opened.
    resolving = {FORWARD_PROXY_FILTER: packed(components_pb2.FilterConfig(config=Any()))}
    return components_pb2.Route(match=match, route=action, typed_per_filter_config=resolving)


def _edge(name: str, settings: Settings, callers: _Callers, *, trusted: bool) -> route_pb2.RouteConfiguration:
    hosts = settings.edge_hosts
    virtual_hosts = [
        components_pb2.VirtualHost(
            name=host,
            domains=[host],
            routes=_edge_routes(service, callers, trusted=trusted),
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
        cluster_specifier_plugins=[
            _specifier(_specifier_name(service), callers.source(service)) for service in services
        ],
    )


def _edge_routes(service: str, callers: _Callers, *, trusted: bool) -> list[components_pb2.Route]:
    action = components_pb2.RouteAction(cluster=service)
    if trusted:
        plain, last = _plain_route(action, callers), _told(_route(action), _BY_CLUSTER)
        return [plain, *_override_routes(callers, service=service), last]
    stripping = _route(action, components_pb2.HeaderMatcher(name=Carrier.BAGGAGE, present_match=True))
    stripping.typed_per_filter_config[LUA_FILTER].CopyFrom(_enabled(_lua(strip_source())))
    return [stripping, _route(action)]


def _override_routes(callers: _Callers, *, service: str) -> Iterable[components_pb2.Route]:
    """Return the routes of requests that carry overrides.

    A request with a fault override needs a filter as well as a cluster; what `x-ot-span-context` holds can't be
    seen from outside, so its mere presence leads into Lua.
    """
    enabled = {
        LUA_FILTER: _enabled(_lua(callers.source(service))),
        FAULT_FILTER: _enabled(_fault()),
    }
    headers = [_contains(Carrier.BAGGAGE, text) for text in _FAULTS]
    if callers.use_opentracing:
        headers.append(components_pb2.HeaderMatcher(name=Carrier.OPENTRACING, present_match=True))
    for header in headers:
        route = _told(_route(_by_lua(service), header), _BY_ENDPOINT)
        for name, config in enabled.items():
            route.typed_per_filter_config[name].CopyFrom(config)
        yield route
    overridden = _contains(Carrier.BAGGAGE, _ROUTE)
    yield _told(_route(_by_lua(service), overridden, _contains(Carrier.BAGGAGE, _MISSING)), _BY_ENDPOINT)
    yield _told(_route(_by_lua(service), overridden), _BY_CLUSTER)


def _route(action: components_pb2.RouteAction, *headers: components_pb2.HeaderMatcher) -> components_pb2.Route:
    action.timeout.CopyFrom(_UNLIMITED)
    return components_pb2.Route(match=components_pb2.RouteMatch(prefix=_ANY_PATH, headers=headers), route=action)


def _told(route: components_pb2.Route, served_by: str) -> components_pb2.Route:
    """Let the response say who served the request."""
    route.response_headers_to_add.add(
        header=base_pb2.HeaderValue(key=SERVED_BY_HEADER, value=served_by),
        append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    return route


def _answer(status: int, words: str, match: components_pb2.RouteMatch | None = None) -> components_pb2.Route:
    body = base_pb2.DataSource(inline_string=f"Detour: {words}")
    return components_pb2.Route(
        match=match or components_pb2.RouteMatch(prefix=_ANY_PATH),
        direct_response=components_pb2.DirectResponseAction(status=status, body=body),
    )


def _contains(header: str, text: str) -> components_pb2.HeaderMatcher:
    return components_pb2.HeaderMatcher(name=header, string_match=string_pb2.StringMatcher(contains=text))


def _absent(header: str, text: str) -> components_pb2.HeaderMatcher:
    """Match a header without that text, and requests without that header."""
    contains = string_pb2.StringMatcher(contains=text)
    return components_pb2.HeaderMatcher(
        name=header, string_match=contains, invert_match=True, treat_missing_header_as_empty=True
    )


def _by_lua(service: str) -> components_pb2.RouteAction:
    return components_pb2.RouteAction(cluster_specifier_plugin=_specifier_name(service), timeout=_UNLIMITED)


def _specifier(name: str, source: str) -> components_pb2.ClusterSpecifierPlugin:
    """Return code that chooses clusters: once in a table, however many routes use it."""
    made = components_pb2.ClusterSpecifierPlugin()
    made.extension.name = name
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
