"""Routes while overrides are switched off (RDS v3): every request goes to the baseline.

Invariant: requests without overrides are handled as usual and get the same response. For all others, the response
says that their overrides or scenario were ignored, and why.
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
"""The first character of a scenario's name."""


def ignored(settings: Settings) -> str:
    """Return the value of the response header that reports ignored overrides."""
    return f"ignored: {settings.overrides_off}"


def ignore_config(settings: Settings) -> Any:
    """Return the Lua filter's configuration for requests that may carry overrides, where the filter is enabled."""
    return enabled(lua(ignore_source(ignored(settings))))


def ignore_overrides(made: components_pb2.Route) -> components_pb2.Route:
    """Ignore the overrides of a route's requests, and report that in the response."""
    return with_removal_reason(made)


def baseline_routes(settings: Settings, service: str) -> Iterator[components_pb2.Route]:
    """Yield the routes of an edge's requests to a service."""
    for names_scenario in _scenario_matchers(settings):
        yield ignore_scenario(settings, route(to(service), names_scenario))
    for carrier in (Carrier.BAGGAGE, Carrier.OPENTRACING):
        yield ignore_overrides(route(to(service), present(carrier)))
    straight = route(to(service))
    switch_off(straight, ON_DEMAND_FILTER)
    switch_off(straight, LUA_FILTER)
    yield straight


def _scenario_matchers(settings: Settings) -> Iterator[components_pb2.HeaderMatcher]:
    yield present(SCENARIO_HEADER)
    yield matches("cookie", rf"(.*;)?\s*{SCENARIO_COOKIE}={_NAME}.*")
    yield matches(":path", rf"[^?]*\?(.*&)?{re.escape(settings.edge_parameter)}={_NAME}.*")
    for domain in sorted(settings.edge_previews):
        yield matches("origin", rf"https?://{_NAME}[A-Za-z0-9-]*\.{re.escape(domain)}(:[0-9]+)?")


def ignore_scenario(settings: Settings, made: components_pb2.Route) -> components_pb2.Route:
    """Ignore the scenario and the overrides of a route's requests, and report that in the response."""
    made.response_headers_to_add.append(setting(OVERRIDES_HEADER, ignored(settings).replace("%", "%%")))
    return made
