"""What an edge's routes have to do with tokens (RDS v3): where a valid one leads, what responses say without one.

A good token is seen by what Envoy's token filter has put into the request's metadata. It does so while the request
is under way, on the route of those that bring a token; the request then takes a route anew.
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
from detour.xds.edge.caching import unconditional, unstored
from detour.xds.route_parts import (
    UNLIMITED,
    Callers,
    enabled,
    override_route,
    present,
    route,
    setting,
    switch_on,
)


def signed_routes(service: str, choosing: Callers) -> Iterator[components_pb2.Route]:
    """Yield the routes of requests with baggage and a token, before that has been looked at and after.

    One that is good has one route for all that its overrides may say: nobody measures what these few requests cost.

    Args:
        service: The service behind the edge.
        choosing: Which headers count if the token is good.
    """
    yield from unconditional(unstored(verified(override_route(choosing, service=service))))
    action = components_pb2.RouteAction(cluster=service, timeout=UNLIMITED)
    checking = guarded(route(action, present(override_tokens.HEADER)))
    # Envoy decides by this route which filters the request passes; the fault filter does nothing here.
    switch_on(checking, (TOKEN_FILTER, FAULT_FILTER))
    yield checking


def guarded(made: components_pb2.Route) -> components_pb2.Route:
    """Take the overrides out of a route's requests, unless their token is good."""
    made.typed_per_filter_config[LUA_FILTER].CopyFrom(enabled(lua_pb2.LuaPerRoute(name=GUARD)))
    return with_removal_reason(made)


def with_removal_reason(made: components_pb2.Route) -> components_pb2.Route:
    """Let the response say if overrides have been taken out; where none were, Envoy adds no header."""
    made.response_headers_to_add.append(setting(OVERRIDES_HEADER, f"%DYNAMIC_METADATA({METADATA}:{REMOVED})%"))
    return made


def verified(made: components_pb2.Route) -> components_pb2.Route:
    """Keep a route to requests whose token is good."""
    by_server = metadata_pb2.MetadataMatcher(
        filter=TOKEN_FILTER,
        path=[metadata_pb2.MetadataMatcher.PathSegment(key=key) for key in (VERIFIED, "iss")],
        value=value_pb2.ValueMatcher(string_match=string_pb2.StringMatcher(exact=override_tokens.ISSUER)),
    )
    made.match.dynamic_metadata.append(by_server)
    return made
