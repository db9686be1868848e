"""Token checks in an edge's routes (RDS v3): where a valid token leads, and what responses report without one.

Envoy's token filter stores a valid token's claims in the request's metadata. It runs on the route of requests with
a token; afterwards the request selects its route again, and the metadata decides.
"""

from collections.abc import Iterator

from envoy.config.route.v3 import route_components_pb2 as components_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.type.matcher.v3 import metadata_pb2, string_pb2, value_pb2

from detour.envoy.vocabulary import (
    FAULT_FILTER,
    GUARD,
    LUA_FILTER,
    METADATA,
    OVERRIDES_HEADER,
    REMOVED,
    TOKEN_FILTER,
    VERIFIED,
)
from detour.mesh import override_tokens
from detour.xds.edge.caching import uncached, unconditional
from detour.xds.route_parts import (
    Callers,
    enabled,
    override_route,
    present,
    route,
    setting,
    switch_on,
)


def signed_routes(service: str, choosing: Callers) -> Iterator[components_pb2.Route]:
    """Yield the routes of requests with baggage and a token, after the token check and before it.

    A valid token leads to a single route for all kinds of overrides: these requests are few, so their cost matters
    little.

    Args:
        service: The service behind the edge.
        choosing: The headers that may carry overrides if the token is valid.
    """
    yield from unconditional(uncached(verified(override_route(choosing, service=service))))
    action = components_pb2.RouteAction(cluster=service)
    checking = guarded(route(action, present(override_tokens.HEADER)))
    # Envoy selects the request's filters by this route; without a configuration the fault filter does nothing here.
    switch_on(checking, (TOKEN_FILTER, FAULT_FILTER))
    yield checking


def guarded(made: components_pb2.Route) -> components_pb2.Route:
    """Remove the overrides of a route's requests, unless their token is valid."""
    made.typed_per_filter_config[LUA_FILTER].CopyFrom(enabled(lua_pb2.LuaPerRoute(name=GUARD)))
    return with_removal_reason(made)


def with_removal_reason(made: components_pb2.Route) -> components_pb2.Route:
    """Report removed overrides in the response. If nothing was removed, Envoy adds no header."""
    made.response_headers_to_add.append(setting(OVERRIDES_HEADER, f"%DYNAMIC_METADATA({METADATA}:{REMOVED})%"))
    return made


def verified(made: components_pb2.Route) -> components_pb2.Route:
    """Restrict a route to requests with a valid token."""
    by_server = metadata_pb2.MetadataMatcher(
        filter=TOKEN_FILTER,
        path=[metadata_pb2.MetadataMatcher.PathSegment(key=key) for key in (VERIFIED, "iss")],
        value=value_pb2.ValueMatcher(string_match=string_pb2.StringMatcher(exact=override_tokens.ISSUER)),
    )
    made.match.dynamic_metadata.append(by_server)
    return made
