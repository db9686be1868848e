"""Routes while overrides are switched off (RDS v3): every request goes to the baseline.

Invariant: a request that carries nothing meets what it would meet otherwise, and its response is the same. Of any
other the response says that its overrides, or its scenario, were ignored, and why.
"""

import re
from collections.abc import Iterator
from typing import Final

from envoy.config.route.v3 import route_components_pb2 as components_pb2
from google.protobuf.any_pb2 import Any

from detour.envoy.lua import ignore_source
from detour.envoy.vocabulary import (
    LUA_FILTER,
    ON_DEMAND_FILTER,
    OVERRIDES_HEADER,
    SCENARIO_COOKIE,
    SCENARIO_HEADER,
)
from detour.mesh import Carrier, Settings
from detour.xds.edge.scenario_routes import to
from detour.xds.edge.signed_routes import with_removal_reason
from detour.xds.route_parts import enabled, lua, matches, present, route, setting, switch_off

_NAME: Final = "[A-Za-z0-9]"
"""How a scenario's name begins."""


def ignored(settings: Settings) -> str:
    """Say what became of a request's overrides."""
    return f"ignored: {settings.overrides_off}"


def ignoring_code(settings: Settings) -> Any:
    """Return what the Lua filter does to requests that may carry overrides, wherever it is not switched off."""
    return enabled(lua(ignore_source(ignored(settings))))


def ignoring(made: components_pb2.Route) -> components_pb2.Route:
    """Have the overrides of a route's requests ignored, and the response say so."""
    return with_removal_reason(made)


def baseline_routes(settings: Settings, service: str) -> Iterator[components_pb2.Route]:
    """Yield the routes of an edge's requests to a service."""
    for brings_scenario in _bringing_scenarios(settings):
        yield scenario_route(settings, route(to(service), brings_scenario))
    for carrier in (Carrier.BAGGAGE, Carrier.OPENTRACING):
        yield ignoring(route(to(service), present(carrier)))
    straight = route(to(service))
    switch_off(straight, ON_DEMAND_FILTER)
    switch_off(straight, LUA_FILTER)
    yield straight


def _bringing_scenarios(settings: Settings) -> Iterator[components_pb2.HeaderMatcher]:
    yield present(SCENARIO_HEADER)
    yield matches("cookie", rf"(.*;)?\s*{SCENARIO_COOKIE}={_NAME}.*")
    yield matches(":path", rf"[^?]*\?(.*&)?{re.escape(settings.edge_parameter)}={_NAME}.*")
    for domain in sorted(settings.edge_previews):
        yield matches("origin", rf"https?://{_NAME}[A-Za-z0-9-]*\.{re.escape(domain)}(:[0-9]+)?")


def scenario_route(settings: Settings, made: components_pb2.Route) -> components_pb2.Route:
    """Have the scenario of a route's requests ignored, and their overrides."""
    made.response_headers_to_add.append(setting(OVERRIDES_HEADER, ignored(settings).replace("%", "%%")))
    return made
