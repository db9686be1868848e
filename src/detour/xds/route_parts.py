"""What the route tables of sidecars and of edges have in common (RDS v3).

A request that carries overrides is told, at each hop, who served it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2 as components_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.router.cluster_specifiers.lua.v3 import lua_pb2 as specifier_pb2
from envoy.type.matcher.v3 import regex_pb2, string_pb2
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from detour.envoy.lua import override_source
from detour.envoy.vocabulary import (
    FAULT_FILTER,
    FAULTS,
    FAULTS_OF_BOTH,
    LUA_FILTER,
    METADATA,
    SERVED_BY,
    SERVED_BY_HEADER,
)
from detour.mesh import Carrier, Naming
from detour.xds.faults import by_header
from detour.xds.messages import packed

BY_CLUSTER: Final = "%UPSTREAM_CLUSTER%"
BY_ENDPOINT: Final = f"%UPSTREAM_METADATA({METADATA}:{SERVED_BY})%"
"""Costs more, and is right also where an override may fall back to the baseline."""

UNLIMITED: Final = Duration()
ANY_PATH: Final = "/"
OVERRIDE: Final = "override."
_ROUTE: Final = "override.route."
_MISSING: Final = "override.missing"
_FAULTS: Final = ("override.delay.", "override.abort.")


@dataclass(frozen=True, slots=True)
class Callers:
    """Whose requests a table is for: the headers that count in them, and what their host names mean."""

    carriers: Sequence[Carrier]
    naming: Naming
    namespace: str

    @property
    def use_opentracing(self) -> bool:
        """Whether overrides in `x-ot-span-context` count too."""
        return Carrier.OPENTRACING in self.carriers

    def source(self, service: str = "") -> str:
        """Return the code that reads overrides, for requests to a service or to the one that each names."""
        return override_source(
            service=service, opentracing=self.use_opentracing, naming=self.naming, caller=self.namespace
        )


def plain_route(
    action: components_pb2.RouteAction, callers: Callers, *more: components_pb2.HeaderMatcher
) -> components_pb2.Route:
    """Return the route of requests that carry no override."""
    headers = [absent(Carrier.BAGGAGE, OVERRIDE), *more]
    if callers.use_opentracing:
        headers.append(present(Carrier.OPENTRACING, is_absent=True))
    return route(action, *headers)


def override_routes(callers: Callers, *, service: str) -> Iterable[components_pb2.Route]:
    """Return the routes of requests that carry overrides.

    A request with a fault override needs a filter as well as a cluster; what `x-ot-span-context` holds can't be
    seen from outside, so its mere presence leads into Lua.
    """
    headers = [contains(Carrier.BAGGAGE, text) for text in _FAULTS]
    if callers.use_opentracing:
        headers.append(present(Carrier.OPENTRACING))
    for header in headers:
        yield override_route(callers, header, service=service)
    overridden = contains(Carrier.BAGGAGE, _ROUTE)
    yield told(route(by_lua(service), overridden, contains(Carrier.BAGGAGE, _MISSING)), BY_ENDPOINT)
    yield told(route(by_lua(service), overridden), BY_CLUSTER)


def override_route(callers: Callers, *headers: components_pb2.HeaderMatcher, service: str) -> components_pb2.Route:
    """Return a route that does whatever overrides of such requests say."""
    made = told(route(by_lua(service), *headers), BY_ENDPOINT)
    made.typed_per_filter_config[LUA_FILTER].CopyFrom(enabled(_faults_by_lua(callers, service)))
    made.typed_per_filter_config[FAULT_FILTER].CopyFrom(enabled(by_header()))
    return made


def _faults_by_lua(callers: Callers, service: str) -> lua_pb2.LuaPerRoute:
    if not service:
        return lua(callers.source())
    # By name: an edge has many such routes, some for each scenario, and each code would be a Lua state of its own.
    made = lua_pb2.LuaPerRoute(name=FAULTS_OF_BOTH if callers.use_opentracing else FAULTS)
    made.filter_context.update({"service": service})
    return made


def route(action: components_pb2.RouteAction, *headers: components_pb2.HeaderMatcher) -> components_pb2.Route:
    """Return the route of requests with these headers, whatever their path."""
    action.timeout.CopyFrom(UNLIMITED)
    return components_pb2.Route(match=components_pb2.RouteMatch(prefix=ANY_PATH, headers=headers), route=action)


def told(made: components_pb2.Route, served_by: str) -> components_pb2.Route:
    """Let the response say who served the request."""
    made.response_headers_to_add.append(setting(SERVED_BY_HEADER, served_by))
    return made


def setting(name: str, value: str) -> base_pb2.HeaderValueOption:
    """Set a header, whatever it was; `value` may hold Envoy's command operators."""
    return base_pb2.HeaderValueOption(
        header=base_pb2.HeaderValue(key=name, value=value),
        append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def answer(status: int, words: str, match: components_pb2.RouteMatch | None = None) -> components_pb2.Route:
    """Return a route that Envoy answers itself."""
    body = base_pb2.DataSource(inline_string=f"Detour: {words}")
    return components_pb2.Route(
        match=match or components_pb2.RouteMatch(prefix=ANY_PATH),
        direct_response=components_pb2.DirectResponseAction(status=status, body=body),
    )


def contains(header: str, text: str) -> components_pb2.HeaderMatcher:
    """Match a header with that text."""
    return components_pb2.HeaderMatcher(name=header, string_match=string_pb2.StringMatcher(contains=text))


def present(header: str, *, is_absent: bool = False) -> components_pb2.HeaderMatcher:
    """Match requests that have a header, or those that have not, whatever it says."""
    return components_pb2.HeaderMatcher(name=header, present_match=True, invert_match=is_absent)


def matches(header: str, pattern: str) -> components_pb2.HeaderMatcher:
    """Match a header that is wholly as a pattern (RE2) has it."""
    regex = regex_pb2.RegexMatcher(regex=pattern)
    return components_pb2.HeaderMatcher(name=header, string_match=string_pb2.StringMatcher(safe_regex=regex))


def absent(header: str, text: str) -> components_pb2.HeaderMatcher:
    """Match a header without that text, and requests without that header."""
    part = string_pb2.StringMatcher(contains=text)
    return components_pb2.HeaderMatcher(
        name=header, string_match=part, invert_match=True, treat_missing_header_as_empty=True
    )


def by_lua(service: str) -> components_pb2.RouteAction:
    """Let the overrides choose among the deployments of a service."""
    return components_pb2.RouteAction(cluster_specifier_plugin=specifier_name(service), timeout=UNLIMITED)


def specifier(name: str, source: str) -> components_pb2.ClusterSpecifierPlugin:
    """Return code that chooses clusters: once in a table, however many routes use it."""
    made = components_pb2.ClusterSpecifierPlugin()
    made.extension.name = name
    config = specifier_pb2.LuaConfig(source_code=base_pb2.DataSource(inline_string=source))
    made.extension.typed_config.CopyFrom(packed(config))
    return made


def specifier_name(service: str) -> str:
    """Name the code that chooses among the deployments of a service; "" for that which the host names."""
    return f"overrides of {service or 'the host'}"


def lua(source: str) -> lua_pb2.LuaPerRoute:
    """Run code on the requests of a route."""
    return lua_pb2.LuaPerRoute(source_code=base_pb2.DataSource(inline_string=source))


def switch_on(made: components_pb2.Route, filters: Iterable[str]) -> None:
    """Switch on, for one route, filters that are off elsewhere; what it has configured itself stays."""
    for name in sorted(set(filters) - set(made.typed_per_filter_config)):
        made.typed_per_filter_config[name].CopyFrom(packed(components_pb2.FilterConfig(config=Any())))


def enabled(config: Message) -> Any:
    """Switch on, for one route, a filter that is off elsewhere."""
    return packed(components_pb2.FilterConfig(config=packed(config)))


def switch_off(made: components_pb2.Route, name: str) -> None:
    """Switch off, for one route, a filter that is on elsewhere."""
    made.typed_per_filter_config[name].CopyFrom(packed(components_pb2.FilterConfig(disabled=True)))
