"""The edge's routes of requests that are in a scenario (RDS v3).

They define which cluster a request goes to, its faults, and what is added to its baggage. Requests without baggage,
which are nearly all, are handled by native code alone.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from envoy.config.route.v3 import route_components_pb2 as components_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from detour.envoy.vocabulary import (
    ADD_SCENARIO,
    FAULT_FILTER,
    LUA_FILTER,
    SCENARIO_FILTER,
    SCENARIO_HEADER,
    TOKEN_FILTER,
)
from detour.mesh import Carrier
from detour.overrides import ON_CALLS, Override, Overrides, append_to_baggage
from detour.xds.edge.caching import uncached, unconditional
from detour.xds.edge.pages import badge_of
from detour.xds.edge.signed_routes import verified, with_removal_reason
from detour.xds.faults import Fault
from detour.xds.route_parts import (
    BY_CLUSTER,
    BY_ENDPOINT,
    UNLIMITED,
    Callers,
    enabled,
    matches,
    override_route,
    present,
    route,
    setting,
    switch_on,
    with_overrides,
    with_served_by,
)

_REMEMBERED_MAX: Final = 20_000
"""A change of one scenario rebuilds the table, so the other scenarios' routes are cached: two kilobytes each."""


@dataclass(frozen=True, slots=True)
class ScenarioRoutes:
    """The rules for all scenarios at one kind of edge.

    Args:
        choosing: The headers that may carry overrides from outside; None if none may.
        trusted: Whether these overrides need no token.
        has_badge: Whether pages show a badge with the scenario's name.
        parameter: The query parameter of links into scenarios.
    """

    choosing: Callers | None
    trusted: bool
    has_badge: bool
    parameter: str

    def routes(self, name: str, overrides: Overrides, service: str) -> Sequence[components_pb2.Route]:
        """Return the routes of a scenario for requests to a service. Callers must copy them before changing them.

        If overrides from outside are accepted, and the scenario has none for that service, the request's own
        overrides apply; otherwise the scenario's do.
        """
        return _remembered(self, name, tuple(overrides), service)

    def named(self, name: str, overrides: Overrides, service: str) -> Iterator[components_pb2.Route]:
        """Build the routes of a scenario; their responses name it."""
        for made in self._unnamed(name, overrides, service):
            made.response_headers_to_add.append(setting(SCENARIO_HEADER, name))
            yield uncached(made)

    def _unnamed(self, name: str, overrides: Overrides, service: str) -> Iterator[components_pb2.Route]:
        baggage = append_to_baggage(None, overrides)
        if not self.has_badge:
            carriers = self.choosing.carriers if self.choosing else (Carrier.BAGGAGE,)
            for made in _leading(overrides, service, *(present(one, is_absent=True) for one in carriers)):
                made.request_headers_to_add.append(setting(Carrier.BAGGAGE, baggage.replace("%", "%%")))
                yield from unconditional(made)
        adding = self._adding(name, baggage)
        is_open = self.choosing is not None and not any(overrides.value(kind, service) for kind in ON_CALLS)
        for made in self._open(service) if is_open else ():
            made.typed_per_filter_config[SCENARIO_FILTER].CopyFrom(adding)
            yield made
        for made in _leading(overrides, service):
            made.typed_per_filter_config[SCENARIO_FILTER].CopyFrom(adding)
            yield made if self.trusted else self._guarded(made, is_open=is_open)

    def _open(self, service: str) -> Iterable[components_pb2.Route]:
        """Return the routes on which the request's own overrides apply."""
        if self.choosing is None:
            return ()
        if self.trusted:
            headers = with_overrides(self.choosing)
            return [override_route(self.choosing, header, service=service) for header in headers]
        return [verified(override_route(self.choosing, service=service))]

    def _adding(self, name: str, baggage: str) -> Any:
        adding = lua_pb2.LuaPerRoute(name=ADD_SCENARIO)
        adding.filter_context.update({"baggage": baggage, **({"trusts": True} if self.trusted else {})})
        if self.has_badge:
            adding.filter_context.update({"badge": badge_of(name, self.parameter)})
        return enabled(adding)

    def _guarded(self, made: components_pb2.Route, *, is_open: bool) -> components_pb2.Route:
        """Enable the token check on a route. A valid token may lead to a route that needs more filters."""
        if self.choosing:
            switch_on(made, {TOKEN_FILTER, *((FAULT_FILTER, LUA_FILTER) if is_open else ())})
        return with_removal_reason(made)


@lru_cache(_REMEMBERED_MAX)
def _remembered(
    made: ScenarioRoutes, name: str, overrides: tuple[Override, ...], service: str
) -> Sequence[components_pb2.Route]:
    return tuple(made.named(name, Overrides.collect(overrides), service))


def to(service: str, overrides: Overrides | None = None) -> components_pb2.RouteAction:
    """Route to a service, or to the deployment of it that overrides choose."""
    deployment = overrides.route(service) if overrides else None
    if overrides is None or deployment is None:
        return components_pb2.RouteAction(cluster=service, timeout=UNLIMITED)
    fallback = ",baseline" if overrides.falls_back else ""
    return components_pb2.RouteAction(cluster=f"{service}@{deployment}{fallback}", timeout=UNLIMITED)


def _leading(
    overrides: Overrides, service: str, *headers: components_pb2.HeaderMatcher
) -> Iterable[components_pb2.Route]:
    """Yield the routes that apply overrides to requests with these headers."""
    for action_headers, fault in _faults(Fault.of(overrides, service)):
        made = route(to(service, overrides), *headers, *action_headers)
        if fault is not None:
            made.typed_per_filter_config[FAULT_FILTER].CopyFrom(enabled(fault))
        yield with_served_by(made, BY_ENDPOINT if overrides.falls_back else BY_CLUSTER)


def _faults(fault: Fault) -> Iterator[tuple[list[components_pb2.HeaderMatcher], Message | None]]:
    """Yield header matchers, each with the fault filter's configuration for matching requests."""
    if fault.code is not None:
        yield [matches("content-type", r"application/grpc.*")], fault.filter_config(grpc=True)
    yield [], fault.filter_config(grpc=False)
