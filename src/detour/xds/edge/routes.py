"""Route tables of edges (RDS v3): the hosts that they serve, the overrides that they accept, and scenarios.

Envoy finds a request's scenario natively: by its host, which is a virtual host of its own, or by the name in its
header or cookie, which one hash table maps to the scenario's routes. Only requests that name a scenario in the
query or the origin run Lua, which sets that header. A scenario's routes contain its clusters and what it adds to
the baggage. A changed scenario is therefore a new route table, and no request has to call the server.

Overrides from outside are removed, unless the edge trusts them or the request carries a valid token.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from envoy.config.route.v3 import route_components_pb2 as components_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2
from envoy.type.matcher.v3 import http_inputs_pb2
from google.protobuf.message import Message
from xds.core.v3 import extension_pb2
from xds.type.matcher.v3 import matcher_pb2

from detour.envoy.vocabulary import (
    ADDED_BY_ENVOY,
    ENTER_FILTER,
    FAULT_FILTER,
    FROM_OUTSIDE,
    LUA_FILTER,
    NAME_FILTER,
    NO_COOKIES,
    SCENARIO_FILTER,
    SCENARIO_HEADER,
    SCENARIO_STATE,
    TOKEN_FILTER,
    TOKEN_HEADER,
)
from detour.mesh import Carrier, Mesh, Scenarios
from detour.xds.edge.entering_routes import OutsideRoutes
from detour.xds.edge.links import Links
from detour.xds.edge.pages import badge_style, ended_pages, no_cookie_pages, unknown_pages
from detour.xds.edge.scenario_routes import ScenarioRoutes, to
from detour.xds.messages import packed
from detour.xds.route_parts import (
    Callers,
    answer,
    contains,
    present,
    route,
    specifier,
    specifier_name,
    switch_on,
)
from detour.xds.switched_off import baseline_routes, ignore_config, ignore_scenario


def edge(name: str, mesh: Mesh, callers: Callers, *, trusted: bool) -> route_pb2.RouteConfiguration:
    """Return the route table of edges.

    Args:
        name: The table's name.
        mesh: The services to serve, and the scenarios.
        callers: The headers that may carry overrides.
        trusted: Whether overrides from outside are honoured.
    """
    settings = mesh.settings
    hosts = _Hosts(callers, mesh, trusted=trusted)
    served = {**settings.edge_hosts, **settings.edge_previews}
    if settings.overrides_off:
        virtual_hosts = list(hosts.switched_off())
    else:
        virtual_hosts = [hosts.ordinary(host, service) for host, service in sorted(served.items())]
        for domain, service in sorted(settings.edge_previews.items()):
            virtual_hosts += hosts.previews(domain, service)
    if "*" not in served:
        listed = ", ".join(sorted(served)) or "none: edge.hosts in the mesh file is empty"
        words = f"this edge does not serve that host (it serves {listed}).\n"
        virtual_hosts.append(components_pb2.VirtualHost(name="unknown", domains=["*"], routes=[answer(404, words)]))
    choosing = None if settings.overrides_off else hosts.choosing
    shared = {LUA_FILTER: ignore_config(settings)} if settings.overrides_off else {}
    return route_pb2.RouteConfiguration(
        name=name,
        typed_per_filter_config=shared,
        virtual_hosts=virtual_hosts,
        ignore_port_in_host_matching=True,
        cluster_specifier_plugins=[
            specifier(specifier_name(service), choosing.source(service))
            for service in sorted(set(served.values()))
            if choosing
        ],
    )


def _choosing(callers: Callers, mesh: Mesh, *, trusted: bool) -> Callers | None:
    """Return the headers that may carry overrides from outside; None if none may."""
    if trusted:
        return callers
    # The OpenTracing header is always removed natively, with or without a token.
    return replace(callers, carriers=(Carrier.BAGGAGE,)) if mesh.keys is not None else None


class _Hosts:
    """Builds the virtual hosts of an edge."""

    def __init__(self, callers: Callers, mesh: Mesh, *, trusted: bool) -> None:
        settings, links = mesh.settings, Links.of(mesh)
        self._settings = settings
        self.choosing = _choosing(callers, mesh, trusted=trusted)
        self._trusted = trusted
        self._scenarios = mesh.scenarios
        self._has_badge = settings.edge_badge
        self._scenario_routes = ScenarioRoutes(
            self.choosing, trusted=trusted, has_badge=self._has_badge, parameter=links.parameter
        )
        self._links = links
        self._outside_routes = OutsideRoutes(self._scenario_routes, mesh.scenarios, links)

    def ordinary(self, host: str, service: str) -> components_pb2.VirtualHost:
        """Return a host whose requests may name a scenario by header, query, cookie or origin."""
        made = self._host(host)
        if self._scenarios is None:
            made.routes.extend(self._outside_routes.routes(service))
            return made
        named = made.matcher.matcher_list.matchers.add()
        named.predicate.CopyFrom(_matching(_NAMED, ".*"))
        by_name = named.on_match.matcher.matcher_tree
        by_name.input.CopyFrom(_NAMED)
        for name, of_scenario in self._routes_of_scenarios(service):
            by_name.exact_match_map.map[name].CopyFrom(_leading_to(of_scenario))
        parameter = self._links.parameter
        by_name.exact_match_map.map[NO_COOKIES].CopyFrom(_leading_to(no_cookie_pages(parameter)))
        unknown = named.on_match.matcher.on_no_match.matcher
        asking = unknown.matcher_list.matchers.add()
        # Any value of the header means a scenario. A cookie of another form belongs to the application.
        asking.predicate.or_matcher.predicate.extend([_matching(_NAMED, _SCENARIO_NAME), _matching(_HEADER, ".*")])
        asking.on_match.CopyFrom(_leading_to(unknown_pages(parameter)))
        unknown.on_no_match.CopyFrom(_leading_to(self._outside_routes.routes(service)))
        made.matcher.on_no_match.CopyFrom(_leading_to(self._outside_routes.entry_routes(service)))
        return made

    def previews(self, domain: str, service: str) -> Iterator[components_pb2.VirtualHost]:
        """Yield a host for each scenario, and one for all other names below the domain."""
        leaving, parameter = self._leaving(service), self._links.parameter
        for name, of_scenario in self._routes_of_scenarios(service):
            host = self._host(f"{name}.{domain}")
            host.routes.extend([leaving, *of_scenario])
            yield host
        others = self._host(f"*.{domain}")
        others.routes.extend([leaving, *unknown_pages(parameter)])
        yield others

    def switched_off(self) -> Iterator[components_pb2.VirtualHost]:
        """Yield the hosts of an edge while overrides are switched off."""
        settings = self._settings
        for host, service in sorted({**settings.edge_hosts, **settings.edge_previews}.items()):
            made = self._host(host)
            made.routes.extend(baseline_routes(settings, service))
            yield made
        for domain, service in sorted(settings.edge_previews.items()):
            preview = self._host(f"*.{domain}")
            preview.routes.append(ignore_scenario(settings, route(to(service))))
            yield preview

    def _host(self, domain: str) -> components_pb2.VirtualHost:
        removed = (TOKEN_HEADER, *ADDED_BY_ENVOY, *(() if self._trusted else FROM_OUTSIDE))
        return components_pb2.VirtualHost(name=domain, domains=[domain], request_headers_to_remove=removed)

    def _routes_of_scenarios(self, service: str) -> Iterator[tuple[str, list[components_pb2.Route]]]:
        """Yield each live scenario's routes, and the pages of those that have ended."""
        known = self._scenarios or Scenarios()
        for name, overrides in sorted(known.live.items()):
            routes = self._scenario_routes.routes(name, overrides, service)
            yield name, [*([badge_style()] if self._has_badge else ()), *routes]
        for name, what in sorted(known.ended.items()):
            yield name, ended_pages(name, what, self._links.parameter)

    def _leaving(self, service: str) -> components_pb2.Route:
        """Return the route of a preview host's requests that may lead elsewhere.

        Lua redirects those that do. It sets the scenario header on all others, which then take the host's own
        routes.
        """
        made = unknown_pages(self._links.parameter)[-1]
        made.match.headers.extend([contains(":path", self._links.naming), present(SCENARIO_HEADER, is_absent=True)])
        made.typed_per_filter_config[ENTER_FILTER].CopyFrom(self._links.entering(service))
        switch_on(made, {NAME_FILTER, TOKEN_FILTER, FAULT_FILTER, LUA_FILTER, SCENARIO_FILTER})
        return made


def _leading_to(routes: Iterable[components_pb2.Route]) -> matcher_pb2.Matcher.OnMatch:
    action = _extension("routes", components_pb2.RouteList(routes=routes))
    return matcher_pb2.Matcher.OnMatch(action=action)


def _matching(what: extension_pb2.TypedExtensionConfig, pattern: str) -> matcher_pb2.Matcher.MatcherList.Predicate:
    """Match requests where an input is present and matches a pattern."""
    made = matcher_pb2.Matcher.MatcherList.Predicate()
    made.single_predicate.input.CopyFrom(what)
    made.single_predicate.value_match.safe_regex.regex = pattern
    made.single_predicate.value_match.safe_regex.google_re2.SetInParent()
    return made


def _extension(name: str, message: Message) -> extension_pb2.TypedExtensionConfig:
    return extension_pb2.TypedExtensionConfig(name=name, typed_config=packed(message))


_HEADER: Final = _extension("header", http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=SCENARIO_HEADER))
_SCENARIO_NAME: Final = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAMED: Final = _extension("scenario", network_inputs_pb2.FilterStateInput(key=SCENARIO_STATE))
