"""Route tables of edges (RDS v3): what they serve, what of a request from outside counts, and scenarios.

A request's scenario is found natively: by its host, which is a virtual host of its own, or by a header, which
leads through one hash table to the scenario's routes. Only a request that brings a scenario in its query, its
cookie or its origin meets Lua, which sets that header. Each scenario's routes say which cluster a request goes to
and what is added to its baggage; so a changed scenario is another route table, and no request asks anybody.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from envoy.config.route.v3 import route_components_pb2 as components_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.type.matcher.v3 import http_inputs_pb2, regex_pb2, string_pb2
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from xds.core.v3 import extension_pb2
from xds.type.matcher.v3 import matcher_pb2

from detour.envoy.lua import strip_source
from detour.envoy.vocabulary import (
    ADD_SCENARIO,
    ENTER,
    ENTER_BY_COOKIE,
    ENTER_FILTER,
    ENTERED_HEADER,
    FAULT_FILTER,
    LUA_FILTER,
    SCENARIO_FILTER,
    SCENARIO_HEADER,
    SERVED_BY_HEADER,
)
from detour.mesh import Carrier, Mesh, Scenarios
from detour.overrides import Kind, Overrides, append_to_baggage
from detour.xds.faults import Fault
from detour.xds.messages import packed
from detour.xds.pages import badge_of, badge_style, ended_page, unknown_page
from detour.xds.route_parts import (
    BY_CLUSTER,
    BY_ENDPOINT,
    UNLIMITED,
    Callers,
    answer,
    contains,
    enabled,
    lua,
    override_routes,
    plain_route,
    route,
    setting,
    specifier,
    specifier_name,
    switched_on,
    told,
)

FROM_OUTSIDE: Final = (
    "x-ot-span-context",
    "x-envoy-original-dst-host",
    *(f"x-envoy-fault-{name}" for name in ("delay-request", "abort-request", "abort-grpc-request")),
    *(f"x-envoy-fault-{name}-percentage" for name in ("delay-request", "abort-request", "throughput-response")),
    "x-envoy-fault-throughput-response",
    SERVED_BY_HEADER,
)
"""Internal headers that are removed from requests that come from outside, whatever address they come from."""

_NAMING: Final = "detour="
"""What stands in the path, or among the cookies, of a request that may name a scenario."""


def edge(name: str, mesh: Mesh, callers: Callers, *, trusted: bool) -> route_pb2.RouteConfiguration:
    """Return the route table of edges.

    Args:
        name: The table's.
        mesh: What is served, and the scenarios.
        callers: Which headers count.
        trusted: Whether overrides from outside are honoured.
    """
    settings = mesh.settings
    hosts = _Hosts(callers, mesh, trusted=trusted)
    served = {**settings.edge_hosts, **settings.edge_previews}
    virtual_hosts = [hosts.ordinary(host, service) for host, service in sorted(served.items())]
    for domain, service in sorted(settings.edge_previews.items()):
        virtual_hosts += hosts.previews(domain, service)
    if "*" not in served:
        listed = ", ".join(sorted(served)) or "none: the mesh file names none under edge.hosts"
        words = f"this edge does not serve that host (it serves {listed}).\n"
        virtual_hosts.append(components_pb2.VirtualHost(name="unknown", domains=["*"], routes=[answer(404, words)]))
    services = sorted(set(served.values())) if trusted else []
    return route_pb2.RouteConfiguration(
        name=name,
        virtual_hosts=virtual_hosts,
        ignore_port_in_host_matching=True,
        cluster_specifier_plugins=[
            specifier(specifier_name(service), callers.source(service)) for service in services
        ],
    )


class _Hosts:
    """Makes the virtual hosts of an edge."""

    def __init__(self, callers: Callers, mesh: Mesh, *, trusted: bool) -> None:
        self._callers = callers
        self._trusted = trusted
        self._scenarios = mesh.scenarios
        self._previews = tuple(sorted(mesh.settings.edge_previews))
        self._has_badge = mesh.settings.edge_badge

    def ordinary(self, host: str, service: str) -> components_pb2.VirtualHost:
        """Return a host on which a request may bring a scenario by header, query, cookie or origin."""
        routes = list(self._outside_scenarios(service))
        made = self._host(host, host)
        if self._scenarios is None:
            made.routes.extend(routes)
            return made
        # Two steps, so that requests without the header pay for looking once.
        with_header = made.matcher.matcher_list.matchers.add()
        with_header.predicate.single_predicate.input.CopyFrom(_SCENARIO_INPUT)
        anything = with_header.predicate.single_predicate.value_match.safe_regex
        anything.google_re2.SetInParent()
        anything.regex = ".*"
        with_header.on_match.matcher.CopyFrom(self._by_name(service))
        made.matcher.on_no_match.CopyFrom(_leading_to([*self._entering(service), *routes]))
        return made

    def _by_name(self, service: str) -> matcher_pb2.Matcher:
        """Look a scenario up by the name in the header."""
        found = matcher_pb2.Matcher(on_no_match=_leading_to([unknown_page()]))
        found.matcher_tree.input.CopyFrom(_SCENARIO_INPUT)
        by_name = found.matcher_tree.exact_match_map.map
        for name, inside in self._insides(service):
            by_name[name].CopyFrom(_leading_to(inside))
        if not by_name:
            # Envoy wants a tree with something in it; nobody's scenario is called so.
            by_name["-"].CopyFrom(_leading_to([unknown_page()]))
        return found

    def previews(self, domain: str, service: str) -> Iterator[components_pb2.VirtualHost]:
        """Yield a host for each scenario, and one for all others below the domain."""
        for name, inside in self._insides(service):
            host = self._host(f"{name}.{domain}", f"{name}.{domain}")
            host.routes.extend([self._leaving(), *inside])
            yield host
        others = self._host(f"*.{domain}", f"*.{domain}")
        others.routes.extend([self._leaving(), unknown_page()])
        yield others

    def _host(self, name: str, domain: str) -> components_pb2.VirtualHost:
        removed = (ENTERED_HEADER, *(() if self._trusted else FROM_OUTSIDE))
        # A dot at the end is the same host to DNS.
        domains = [domain] if domain == "*" else [domain, f"{domain}."]
        return components_pb2.VirtualHost(name=name, domains=domains, request_headers_to_remove=removed)

    def _insides(self, service: str) -> Iterator[tuple[str, list[components_pb2.Route]]]:
        """Yield the routes inside each scenario, and the page of each whose time is over."""
        known = self._scenarios or Scenarios()
        for name, overrides in sorted(known.live.items()):
            routes = _inside(name, overrides, service, self._callers, trusted=self._trusted, badge=self._has_badge)
            yield name, [*([badge_style()] if self._has_badge else ()), *routes]
        for name, what in sorted(known.ended.items()):
            yield name, [ended_page(name, what)]

    def _entering(self, service: str) -> list[components_pb2.Route]:
        """Return the routes of requests that may bring a scenario otherwise than by host or header."""
        unseen = components_pb2.HeaderMatcher(name=ENTERED_HEADER, present_match=True, invert_match=True)
        origins = [
            rf"https?://[a-z0-9-]+\.{domain.replace('.', chr(92) + '.')}(:[0-9]+)?" for domain in self._previews
        ]
        # Not by Envoy's matcher of queries, which takes every request's path apart.
        by_link = [contains(":path", _NAMING), *(_matches("origin", pattern) for pattern in origins)]
        cookie, every = contains("cookie", _NAMING), (SCENARIO_FILTER, FAULT_FILTER, LUA_FILTER)
        made = [self._entrance(route(_to(service), one, unseen), self._looking(), every) for one in by_link]
        by_cookie = enabled(lua_pb2.LuaPerRoute(name=ENTER_BY_COOKIE))
        if not (self._trusted or self._has_badge):
            # Nearly all requests of a browser that is in a scenario: nothing is on that they can't need.
            has_none = components_pb2.HeaderMatcher(name=Carrier.BAGGAGE, present_match=True, invert_match=True)
            needed = (FAULT_FILTER,) if self._has_faults(service) else ()
            made.append(self._entrance(route(_to(service), cookie, has_none, unseen), by_cookie, needed))
        return [*made, self._entrance(route(_to(service), cookie, unseen), by_cookie, every)]

    def _entrance(self, made: components_pb2.Route, looking: Any, needed: Iterable[str]) -> components_pb2.Route:
        """Let Lua look at a route's requests for the scenario.

        Envoy decides which filters a request passes by its first route: what the scenario may need is switched on.
        """
        made.typed_per_filter_config[ENTER_FILTER].CopyFrom(looking)
        for name in needed:
            made.typed_per_filter_config[name].CopyFrom(switched_on())
        return made

    def _has_faults(self, service: str) -> bool:
        live = self._scenarios.live.values() if self._scenarios else ()
        return any(overrides.value(kind, service) for overrides in live for kind in (Kind.DELAY, Kind.ABORT))

    def _leaving(self) -> components_pb2.Route:
        """Return the route of a preview host's requests that lead elsewhere; Lua answers them all."""
        made = unknown_page(_matches(":method", "GET|HEAD"))
        made.match.query_parameters.add(name="detour", present_match=True)
        made.typed_per_filter_config[ENTER_FILTER].CopyFrom(self._looking())
        return made

    def _looking(self) -> Any:
        # By name: inline, the code would be a Lua state of its own for each route, and each scenario has some.
        looking = lua_pb2.LuaPerRoute(name=ENTER)
        looking.filter_context.update({"previews": " ".join(self._previews)})
        return enabled(looking)

    def _outside_scenarios(self, service: str) -> Iterator[components_pb2.Route]:
        """Yield the routes of requests in no scenario."""
        if self._trusted:
            yield plain_route(_to(service), self._callers)
            yield from override_routes(self._callers, service=service)
            yield told(route(_to(service)), BY_CLUSTER)
            return
        stripping = route(_to(service), _present(Carrier.BAGGAGE))
        stripping.typed_per_filter_config[LUA_FILTER].CopyFrom(enabled(lua(strip_source())))
        yield stripping
        yield route(_to(service))


def _inside(
    name: str, overrides: Overrides, service: str, callers: Callers, *, trusted: bool, badge: bool
) -> Iterator[components_pb2.Route]:
    """Yield the routes of requests in a scenario.

    Where an edge trusts what comes from outside, and the scenario says nothing of the service behind it, the
    request's own overrides choose; else the scenario's do.
    """
    baggage = append_to_baggage(None, overrides)
    adding = lua_pb2.LuaPerRoute(name=ADD_SCENARIO)
    adding.filter_context.update({"baggage": baggage, **({"trusts": True} if trusted else {})})
    if badge:
        adding.filter_context.update({"badge": badge_of(name)})
    adding_by_lua = enabled(adding)
    if trusted and not any(overrides.value(kind, service) for kind in (Kind.ROUTE, Kind.DELAY, Kind.ABORT)):
        for made in override_routes(callers, service=service):
            made.typed_per_filter_config[SCENARIO_FILTER].CopyFrom(adding_by_lua)
            yield _named(made, name)
    for action_headers, fault in _faults(Fault.of(overrides, service)):
        # Nearly no request from outside has baggage: for those that have none, nothing but native code.
        for by_lua in (True,) if badge else (True, False):
            is_for_baggage = by_lua and not badge
            made = route(
                _to(service, overrides), *action_headers, *([_present(Carrier.BAGGAGE)] if is_for_baggage else [])
            )
            if by_lua:
                made.typed_per_filter_config[SCENARIO_FILTER].CopyFrom(adding_by_lua)
            else:
                made.request_headers_to_add.append(setting(Carrier.BAGGAGE, baggage.replace("%", "%%")))
            if fault is not None:
                made.typed_per_filter_config[FAULT_FILTER].CopyFrom(enabled(fault))
            yield _named(told(made, BY_ENDPOINT if overrides.falls_back else BY_CLUSTER), name)


def _faults(fault: Fault) -> Iterator[tuple[list[components_pb2.HeaderMatcher], Message | None]]:
    """Yield what the fault filter does to which requests."""
    if fault.code is not None:
        yield [_matches("content-type", r"application/grpc.*")], fault.filtered(grpc=True)
    yield [], fault.filtered(grpc=False)


def _named(made: components_pb2.Route, scenario: str) -> components_pb2.Route:
    """Let the response say which scenario the request was in."""
    made.response_headers_to_add.append(setting(SCENARIO_HEADER, scenario))
    return made


def _to(service: str, overrides: Overrides | None = None) -> components_pb2.RouteAction:
    """Lead to a service, or to the deployment of it that overrides choose."""
    deployment = overrides.route(service) if overrides else None
    if overrides is None or deployment is None:
        return components_pb2.RouteAction(cluster=service, timeout=UNLIMITED)
    fallback = ",baseline" if overrides.falls_back else ""
    return components_pb2.RouteAction(cluster=f"{service}@{deployment}{fallback}", timeout=UNLIMITED)


def _leading_to(routes: Iterable[components_pb2.Route]) -> matcher_pb2.Matcher.OnMatch:
    action = _extension("routes", components_pb2.RouteList(routes=routes))
    return matcher_pb2.Matcher.OnMatch(action=action)


def _extension(name: str, message: Message) -> extension_pb2.TypedExtensionConfig:
    return extension_pb2.TypedExtensionConfig(name=name, typed_config=packed(message))


def _present(header: str) -> components_pb2.HeaderMatcher:
    return components_pb2.HeaderMatcher(name=header, present_match=True)


def _matches(header: str, pattern: str) -> components_pb2.HeaderMatcher:
    regex = regex_pb2.RegexMatcher(regex=pattern)
    return components_pb2.HeaderMatcher(name=header, string_match=string_pb2.StringMatcher(safe_regex=regex))


_SCENARIO_INPUT: Final = _extension(
    "scenario", http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=SCENARIO_HEADER)
)
