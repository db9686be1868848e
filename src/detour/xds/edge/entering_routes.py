"""The edge's routes of requests that are in no scenario, or not yet (RDS v3).

Nearly every request names no scenario and takes one route. A request that may name one passes a filter that looks
for
it, and then selects its route again: either one in the scenario, or the one that it would have taken anyway.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from envoy.config.route.v3 import route_components_pb2 as components_pb2

from detour.envoy.vocabulary import (
    ENTER_FILTER,
    FAULT_FILTER,
    LUA_FILTER,
    NAME_FILTER,
    ON_DEMAND_FILTER,
    SCENARIO_COOKIE,
    SCENARIO_FILTER,
    SCENARIO_HEADER,
    TOKEN_FILTER,
)
from detour.mesh import Carrier, Scenarios
from detour.xds.edge.caching import uncached, unconditional
from detour.xds.edge.links import Links
from detour.xds.edge.pages import unknown_pages
from detour.xds.edge.scenario_routes import ScenarioRoutes, to
from detour.xds.edge.signed_routes import guarded, signed_routes
from detour.xds.faults import Fault
from detour.xds.route_parts import (
    absent,
    contains,
    override_routes,
    plain_routes,
    present,
    route,
    switch_off,
    switch_on,
)

_NAMING: Final = f"{SCENARIO_COOKIE}="
"""Text in the cookie header of a request that may name a scenario."""
_NAMING_NOTHING: Final = f"{_NAMING};"


@dataclass(frozen=True, slots=True)
class OutsideRoutes:
    """The routes of requests in no scenario, at one kind of edge.

    Args:
        scenario_routes: The routes of requests in a scenario.
        scenarios: The scenarios; None if the server keeps none.
        links: The rules for links into scenarios.
    """

    scenario_routes: ScenarioRoutes
    scenarios: Scenarios | None
    links: Links

    def routes(self, service: str) -> Iterator[components_pb2.Route]:
        """Yield the routes of requests to a service, without regard to scenarios."""
        yield self._default_route(service)
        yield from self._with_baggage(service)

    def entry_routes(self, service: str) -> Iterator[components_pb2.Route]:
        """Yield the routes of requests that may name a scenario, then those of all others.

        A request that may name one takes its usual route, with the filter that looks for the scenario enabled. The
        routes of the most frequent requests come first, because each header match costs.
        """
        cookie, no_link = contains("cookie", _NAMING), absent(":path", self.links.naming)
        nothing = [absent("cookie", _NAMING), *self.links.absent(), present(SCENARIO_HEADER, is_absent=True)]
        yield _with_headers(self._default_route(service), *nothing)
        without, with_baggage = self._without_baggage(service), list(self._with_baggage(service))
        only_cookie = _with_headers(without, cookie, no_link, absent("cookie", _NAMING_NOTHING))
        yield from self._with_scenario_lookup([only_cookie], service)
        # No request ends up here: a request with that header always names a scenario, and then selects its route
        # again.
        (nowhere,) = unknown_pages(self.links.parameter)[-1:]
        by_header = [_with_headers(nowhere, *self._no_baggage()), nowhere]
        yield from self._with_scenario_lookup(by_header, service, present(SCENARIO_HEADER))
        for link in self.links.present():
            yield from self._with_scenario_lookup([without, *with_baggage], service, link, is_link=True)
        yield from self._with_scenario_lookup([without, *with_baggage], service, cookie)
        yield from self.routes(service)

    def _with_scenario_lookup(
        self,
        routes: Iterable[components_pb2.Route],
        service: str,
        *headers: components_pb2.HeaderMatcher,
        is_link: bool = False,
    ) -> Iterator[components_pb2.Route]:
        """Enable the scenario lookup for requests with headers; the first route is for those without baggage.

        Envoy selects a request's filters by its first route, so this enables all filters that a scenario may need.
        """
        needed = {NAME_FILTER, *self._needed(service)}
        for one in routes:
            made = _with_headers(one, *headers)
            if is_link:
                made.typed_per_filter_config[ENTER_FILTER].CopyFrom(self.links.entering(service))
            switch_on(made, needed)
            yield made
            needed = {NAME_FILTER, TOKEN_FILTER, FAULT_FILTER, LUA_FILTER, SCENARIO_FILTER}

    def _needed(self, service: str) -> Iterator[str]:
        """Yield the filters that requests without baggage may need in a scenario; usually none."""
        live = self.scenarios.live.values() if self.scenarios else ()
        if any(Fault.of(overrides, service) != Fault() for overrides in live):
            yield FAULT_FILTER
        if self.scenario_routes.has_badge:
            yield SCENARIO_FILTER

    def _default_route(self, service: str) -> components_pb2.Route:
        """Return the route of requests without baggage; nearly all take it, after a single check.

        An edge holds the clusters of the services that it serves from the start, so it needs no on-demand lookup.
        """
        made = self._without_baggage(service)
        switch_off(made, ON_DEMAND_FILTER)
        return made

    def _without_baggage(self, service: str) -> components_pb2.Route:
        return route(to(service), *self._no_baggage())

    def _with_baggage(self, service: str) -> Iterator[components_pb2.Route]:
        """Yield the routes of requests whose baggage may contain overrides."""
        if self.scenario_routes.trusted and self.scenario_routes.choosing:
            yield from plain_routes(to(service), self.scenario_routes.choosing)
            for made in override_routes(to(service), self.scenario_routes.choosing, service=service):
                yield from unconditional(uncached(made))
            return
        if self.scenario_routes.choosing:
            yield from signed_routes(service, self.scenario_routes.choosing)
        yield guarded(route(to(service)))

    def _no_baggage(self) -> Iterable[components_pb2.HeaderMatcher]:
        carriers = self.scenario_routes.choosing.carriers if self.scenario_routes.choosing else (Carrier.BAGGAGE,)
        return (present(name, is_absent=True) for name in carriers)


def _with_headers(made: components_pb2.Route, *headers: components_pb2.HeaderMatcher) -> components_pb2.Route:
    """Return a copy of a route for requests that also have these headers, which are matched first."""
    copy = components_pb2.Route()
    copy.match.headers.extend(headers)
    copy.MergeFrom(made)
    return copy
