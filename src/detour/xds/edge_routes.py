"""Route tables of edges (RDS v3): what they serve, what of a request from outside counts, and scenarios.

A request's scenario is found natively: by its host, which is a virtual host of its own, or by a header, which
leads through one hash table to the scenario's routes. Only a request that brings a scenario in its query, its
cookie or its origin meets Lua, which sets that header. Each scenario's routes say which cluster a request goes to
and what is added to its baggage; so a changed scenario is another route table, and no request asks anybody.

Overrides from outside are taken out, unless the edge trusts them or the request brings a good token.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from envoy.config.route.v3 import route_components_pb2 as components_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.type.matcher.v3 import http_inputs_pb2
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from xds.core.v3 import extension_pb2
from xds.type.matcher.v3 import matcher_pb2

from detour.envoy.vocabulary import (
    ENTER,
    ENTER_BY_COOKIE,
    ENTER_FILTER,
    ENTERED_HEADER,
    FAULT_FILTER,
    FROM_OUTSIDE,
    LUA_FILTER,
    SCENARIO_FILTER,
    SCENARIO_HEADER,
    TOKEN_FILTER,
    TOKEN_HEADER,
)
from detour.mesh import Carrier, Mesh, Scenarios
from detour.overrides import Kind
from detour.xds.messages import packed
from detour.xds.pages import badge_style, ended_page, unknown_page
from detour.xds.route_parts import (
    BY_CLUSTER,
    Callers,
    absent,
    answer,
    contains,
    enabled,
    matches,
    override_routes,
    plain_route,
    present,
    route,
    specifier,
    specifier_name,
    switched_on,
    told,
)
from detour.xds.scenario_routes import Inside, to
from detour.xds.signed_routes import guarded, signed_routes

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
    choosing = hosts.choosing
    return route_pb2.RouteConfiguration(
        name=name,
        virtual_hosts=virtual_hosts,
        ignore_port_in_host_matching=True,
        cluster_specifier_plugins=[
            specifier(specifier_name(service), choosing.source(service))
            for service in sorted(set(served.values()))
            if choosing
        ],
    )


def _choosing(callers: Callers, mesh: Mesh, *, trusted: bool) -> Callers | None:
    """Say which headers of requests from outside may choose at all; None if none may."""
    if trusted:
        return callers
    # The header of OpenTracing is taken out natively, whatever else a request brings.
    return replace(callers, carriers=(Carrier.BAGGAGE,)) if mesh.keys is not None else None


class _Hosts:
    """Makes the virtual hosts of an edge."""

    def __init__(self, callers: Callers, mesh: Mesh, *, trusted: bool) -> None:
        self.choosing = _choosing(callers, mesh, trusted=trusted)
        self._carriers = self.choosing.carriers if self.choosing else (Carrier.BAGGAGE,)
        self._trusted = trusted
        self._scenarios = mesh.scenarios
        self._previews = tuple(sorted(mesh.settings.edge_previews))
        self._has_badge = mesh.settings.edge_badge
        self._inside = Inside(self.choosing, trusted=trusted, has_badge=self._has_badge)

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
        leaving = self._leaving()
        for name, inside in self._insides(service):
            host = self._host(f"{name}.{domain}", f"{name}.{domain}")
            host.routes.extend([leaving, *inside])
            yield host
        others = self._host(f"*.{domain}", f"*.{domain}")
        others.routes.extend([leaving, unknown_page()])
        yield others

    def _host(self, name: str, domain: str) -> components_pb2.VirtualHost:
        removed = (ENTERED_HEADER, TOKEN_HEADER, *(() if self._trusted else FROM_OUTSIDE))
        # A dot at the end is the same host to DNS.
        domains = [domain] if domain == "*" else [domain, f"{domain}."]
        return components_pb2.VirtualHost(name=name, domains=domains, request_headers_to_remove=removed)

    def _insides(self, service: str) -> Iterator[tuple[str, list[components_pb2.Route]]]:
        """Yield the routes inside each scenario, and the page of each whose time is over."""
        known = self._scenarios or Scenarios()
        for name, overrides in sorted(known.live.items()):
            routes = self._inside.routes(name, overrides, service)
            yield name, [*([badge_style()] if self._has_badge else ()), *routes]
        for name, what in sorted(known.ended.items()):
            yield name, [ended_page(name, what)]

    def _entering(self, service: str) -> list[components_pb2.Route]:
        """Return the routes of requests that may bring a scenario otherwise than by host or header."""
        # First, in one look at each, those that bring nothing at all: nearly every one.
        nothing = [absent("cookie", _NAMING), absent(":path", _NAMING)]
        nothing += [present(name, is_absent=True) for name in ("origin", *self._carriers)]
        unseen = present(ENTERED_HEADER, is_absent=True)
        origins = [
            rf"https?://[a-z0-9-]+\.{domain.replace('.', chr(92) + '.')}(:[0-9]+)?" for domain in self._previews
        ]
        # Not by Envoy's matcher of queries, which takes every request's path apart.
        by_link = [contains(":path", _NAMING), *(matches("origin", pattern) for pattern in origins)]
        cookie, every = contains("cookie", _NAMING), (SCENARIO_FILTER, TOKEN_FILTER, FAULT_FILTER, LUA_FILTER)
        made = [route(to(service), *nothing)]
        made += [self._entrance(route(to(service), one, unseen), self._looking(), every) for one in by_link]
        by_cookie = enabled(lua_pb2.LuaPerRoute(name=ENTER_BY_COOKIE))
        if not (self._trusted or self._has_badge):
            # Nearly all requests of a browser that is in a scenario: nothing is on that they can't need.
            has_none = present(Carrier.BAGGAGE, is_absent=True)
            needed = (FAULT_FILTER,) if self._has_faults(service) else ()
            made.append(self._entrance(route(to(service), cookie, has_none, unseen), by_cookie, needed))
        return [*made, self._entrance(route(to(service), cookie, unseen), by_cookie, every)]

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
        made = unknown_page(matches(":method", "GET|HEAD"))
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
        if self._trusted and self.choosing:
            yield plain_route(to(service), self.choosing)
            yield from override_routes(self.choosing, service=service)
            yield told(route(to(service)), BY_CLUSTER)
            return
        # First those that bring nothing, nearly all: they pay for looking once.
        yield route(to(service), present(Carrier.BAGGAGE, is_absent=True))
        if self.choosing:
            yield from signed_routes(service, self.choosing)
        yield guarded(route(to(service)))


def _leading_to(routes: Iterable[components_pb2.Route]) -> matcher_pb2.Matcher.OnMatch:
    action = _extension("routes", components_pb2.RouteList(routes=routes))
    return matcher_pb2.Matcher.OnMatch(action=action)


def _extension(name: str, message: Message) -> extension_pb2.TypedExtensionConfig:
    return extension_pb2.TypedExtensionConfig(name=name, typed_config=packed(message))


_SCENARIO_INPUT: Final = _extension(
    "scenario", http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=SCENARIO_HEADER)
)
