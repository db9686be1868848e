"""Building blocks of route tables, shared by sidecars and edges (RDS v3).

For each request that carries overrides, the response says at each hop which instance's deployment served it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2 as components_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.router.cluster_specifiers.lua.v3 import lua_pb2 as specifier_pb2
from envoy.type.matcher.v3 import regex_pb2, string_pb2
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from detour.envoy.lua import override_source, plain_source
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
from detour.overrides import BASELINE, Kind
from detour.xds.faults import by_header
from detour.xds.messages import packed

BY_CLUSTER: Final = "%UPSTREAM_CLUSTER%"
BY_ENDPOINT: Final = f"%UPSTREAM_METADATA({METADATA}:{SERVED_BY})%"
"""Costs more than `BY_CLUSTER`. Needed where an override may fall back to the baseline."""

UNLIMITED: Final = Duration()
ANY_PATH: Final = "/"
OVERRIDE: Final = "override."
_ROUTE: Final = "override.route."
_MISSING: Final = "override.missing"

PLAIN_OVERRIDES: Final = "plain overrides of the host"
"""Name of the Lua code that chooses clusters for a sidecar's requests with plain baggage.

Edges have no such code: it would add a Lua state for each service behind the edge."""

_START: Final = r"(?:\C*,)?[^A-Za-z0-9._,;=-]*"
"""What may precede a key (RE2; `\\C` is any byte, including bytes that are not valid UTF-8)."""


def _beginnings(word: str) -> str:
    """Return a pattern that matches every proper prefix of a word."""
    return "".join(f"(?:{re.escape(letter)}" for letter in word[:-1]) + ")?" * (len(word) - 1)


ENCODED: Final = rf"{_START}{_beginnings(OVERRIDE)}%\C*"
"""Baggage with a key that may turn out to be an override's once it is decoded. Other keys rarely contain a `%`."""

_LETTER: Final = "[A-Za-z0-9._-]"
_NAME: Final = f"[A-Za-z0-9]{_LETTER}*"


def _is_plain(kind: Kind) -> bool:
    """Return whether plain baggage may contain overrides of a kind: `plain.lua` reads them or may ignore them."""
    match kind:
        case Kind.ROUTE | Kind.MISSING | Kind.CONFIG | Kind.LOG | Kind.DB:
            return True
        case Kind.DELAY | Kind.ABORT:
            return False
        case _:
            assert_never(kind)


_NAMED: Final = "|".join(kind for kind in Kind if kind.subject and _is_plain(kind))
_UNNAMED: Final = "|".join(f"{kind}={BASELINE}" for kind in Kind if not kind.subject and _is_plain(kind))
_OVERRIDE: Final = rf"override\.(?:(?:{_NAMED})\.{_NAME}={_NAME}|{_UNNAMED})"
_PLAIN: Final = f"(?:(?:{_OVERRIDE}|[A-Za-np-z0-9]{_LETTER}*={_LETTER}*)(?:,|$))+"
_LARGE: Final = r"\C*[--z]{64}\C*|(?:[--z]*,){5}\C*"
"""Most baggage with overrides is plain (it can be read completely and contains no fault) and not large (at most
five members of 63 bytes). Two patterns are needed, and the second uses one range for all characters that the first
allows in a member, because Envoy rejects a pattern for which RE2 needs over 100 instructions."""


@dataclass(frozen=True, slots=True)
class Callers:
    """The callers that a route table serves: which headers apply to them, and what their host names mean."""

    carriers: Sequence[Carrier]
    naming: Naming
    namespace: str

    @property
    def use_opentracing(self) -> bool:
        """Whether overrides in `x-ot-span-context` apply, too."""
        return Carrier.OPENTRACING in self.carriers

    def source(self, service: str = "") -> str:
        """Return the Lua code that reads overrides; service "" means the one that the request's host names."""
        return override_source(
            service=service, opentracing=self.use_opentracing, naming=self.naming, caller=self.namespace
        )

    def plain_source(self) -> str:
        """Return the Lua code that reads plain baggage, for requests to the service that the host names."""
        return plain_source(naming=self.naming, caller=self.namespace)


def plain_routes(
    action: components_pb2.RouteAction, callers: Callers, *more: components_pb2.HeaderMatcher
) -> Iterator[components_pb2.Route]:
    """Yield the routes of requests without overrides. Nearly all take the first, which does not read baggage."""
    if callers.use_opentracing:
        more = (present(Carrier.OPENTRACING, is_absent=True), *more)
    yield route(action, present(Carrier.BAGGAGE, is_absent=True), *more)
    none = absent(Carrier.BAGGAGE, OVERRIDE)
    yield route(action, none, absent(Carrier.BAGGAGE, "%"), *more)
    yield route(action, none, matches(Carrier.BAGGAGE, ENCODED, is_inverted=True), *more)


def override_routes(
    action: components_pb2.RouteAction, callers: Callers, *, service: str
) -> Iterator[components_pb2.Route]:
    """Yield the routes of all other requests.

    A request whose plain baggage can be read completely needs only a cluster. All others need the Lua filter, which
    reports unreadable overrides and enables faults; route matchers cannot look into `x-ot-span-context`.

    Args:
        action: The action for requests that have only overrides of other kinds.
        callers: The callers that the table serves.
        service: The service that the requests are for; "" for the one that their host names.
    """
    plain = [matches(Carrier.BAGGAGE, _PLAIN), matches(Carrier.BAGGAGE, _LARGE, is_inverted=True)]
    if callers.use_opentracing:
        plain.append(present(Carrier.OPENTRACING, is_absent=True))
    chosen = by_lua(service) if service else components_pb2.RouteAction(cluster_specifier_plugin=PLAIN_OVERRIDES)
    yield with_served_by(route(chosen, contains(Carrier.BAGGAGE, _MISSING), *plain), BY_ENDPOINT)
    yield with_served_by(route(chosen, contains(Carrier.BAGGAGE, _ROUTE), *plain), BY_CLUSTER)
    yield with_served_by(route(action, *plain), BY_CLUSTER)
    yield override_route(callers, service=service)


def with_overrides(callers: Callers) -> Iterator[components_pb2.HeaderMatcher]:
    """Yield matchers for requests that may carry overrides."""
    yield contains(Carrier.BAGGAGE, OVERRIDE)
    yield matches(Carrier.BAGGAGE, ENCODED)
    if callers.use_opentracing:
        yield present(Carrier.OPENTRACING)


def override_route(callers: Callers, *headers: components_pb2.HeaderMatcher, service: str) -> components_pb2.Route:
    """Return a route that applies all overrides of such requests."""
    made = with_served_by(route(by_lua(service), *headers), BY_ENDPOINT)
    made.typed_per_filter_config[LUA_FILTER].CopyFrom(enabled(_faults_by_lua(callers, service)))
    made.typed_per_filter_config[FAULT_FILTER].CopyFrom(enabled(by_header()))
    return made


def _faults_by_lua(callers: Callers, service: str) -> lua_pb2.LuaPerRoute:
    if not service:
        return lua(callers.source())
    # Referenced by name: an edge has many such routes, and each inline copy of the code would be a Lua state of its
    # own.
    made = lua_pb2.LuaPerRoute(name=FAULTS_OF_BOTH if callers.use_opentracing else FAULTS)
    made.filter_context.update({"service": service})
    return made


def route(action: components_pb2.RouteAction, *headers: components_pb2.HeaderMatcher) -> components_pb2.Route:
    """Return the route of requests with these headers, for any path."""
    action.timeout.CopyFrom(UNLIMITED)
    return components_pb2.Route(match=components_pb2.RouteMatch(prefix=ANY_PATH, headers=headers), route=action)


def with_served_by(made: components_pb2.Route, served_by: str) -> components_pb2.Route:
    """Add the response header that names the service or deployment that served the request."""
    made.response_headers_to_add.append(setting(SERVED_BY_HEADER, served_by))
    return made


def setting(name: str, value: str) -> base_pb2.HeaderValueOption:
    """Set a header, replacing any previous value; `value` may contain Envoy's command operators."""
    return base_pb2.HeaderValueOption(
        header=base_pb2.HeaderValue(key=name, value=value),
        append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def answer(status: int, words: str, match: components_pb2.RouteMatch | None = None) -> components_pb2.Route:
    """Return a route that Envoy answers directly."""
    body = base_pb2.DataSource(inline_string=f"Detour: {words}")
    return components_pb2.Route(
        match=match or components_pb2.RouteMatch(prefix=ANY_PATH),
        direct_response=components_pb2.DirectResponseAction(status=status, body=body),
    )


def contains(header: str, text: str) -> components_pb2.HeaderMatcher:
    """Match a header that contains a text."""
    return components_pb2.HeaderMatcher(name=header, string_match=string_pb2.StringMatcher(contains=text))


def present(header: str, *, is_absent: bool = False) -> components_pb2.HeaderMatcher:
    """Match requests that have a header, or that do not have it, whatever its value."""
    return components_pb2.HeaderMatcher(name=header, present_match=True, invert_match=is_absent)


def matches(header: str, pattern: str, *, is_inverted: bool = False) -> components_pb2.HeaderMatcher:
    """Match a header whose whole value matches a pattern (RE2), or does not match it."""
    regex = regex_pb2.RegexMatcher(regex=pattern)
    whole = string_pb2.StringMatcher(safe_regex=regex)
    return components_pb2.HeaderMatcher(name=header, string_match=whole, invert_match=is_inverted)


def absent(header: str, text: str) -> components_pb2.HeaderMatcher:
    """Match a header that does not contain a text, and requests without that header."""
    part = string_pb2.StringMatcher(contains=text)
    return components_pb2.HeaderMatcher(
        name=header, string_match=part, invert_match=True, treat_missing_header_as_empty=True
    )


def by_lua(service: str) -> components_pb2.RouteAction:
    """Let overrides choose among the deployments of a service."""
    return components_pb2.RouteAction(cluster_specifier_plugin=specifier_name(service), timeout=UNLIMITED)


def specifier(name: str, source: str) -> components_pb2.ClusterSpecifierPlugin:
    """Return named Lua code that chooses clusters. A table contains it once, however many routes use it."""
    made = components_pb2.ClusterSpecifierPlugin()
    made.extension.name = name
    config = specifier_pb2.LuaConfig(source_code=base_pb2.DataSource(inline_string=source))
    made.extension.typed_config.CopyFrom(packed(config))
    return made


def specifier_name(service: str) -> str:
    """Return the name of the code that chooses among a service's deployments; "" for the service the host names."""
    return f"overrides of {service or 'the host'}"


def lua(source: str) -> lua_pb2.LuaPerRoute:
    """Run Lua code on the requests of a route."""
    return lua_pb2.LuaPerRoute(source_code=base_pb2.DataSource(inline_string=source))


def switch_on(made: components_pb2.Route, filters: Iterable[str]) -> None:
    """Enable filters for one route that are disabled elsewhere. Filters that the route already configures stay."""
    for name in sorted(set(filters) - set(made.typed_per_filter_config)):
        made.typed_per_filter_config[name].CopyFrom(packed(components_pb2.FilterConfig(config=Any())))


def enabled(config: Message) -> Any:
    """Return a per-route configuration that enables a filter that is disabled elsewhere."""
    return packed(components_pb2.FilterConfig(config=packed(config)))


def switch_off(made: components_pb2.Route, name: str) -> None:
    """Disable a filter for one route that is enabled elsewhere."""
    made.typed_per_filter_config[name].CopyFrom(packed(components_pb2.FilterConfig(disabled=True)))
