"""Cache headers of responses that overrides may have changed (RDS v3): no cache may store them.

Invariant: a cache in front of an edge never serves a scenario's response to a user outside it, and a stored
response of one version never validates a request for another.
"""

from collections.abc import Iterator

from envoy.config.route.v3 import route_components_pb2 as components_pb2
from envoy.type.matcher.v3 import string_pb2

from detour.envoy.vocabulary import CACHE_HEADERS, CONDITIONAL_HEADERS
from detour.xds.route_parts import setting


def uncached(made: components_pb2.Route) -> components_pb2.Route:
    """Prevent caches from storing a route's responses."""
    made.response_headers_to_add.append(setting("cache-control", "private, no-store"))
    made.response_headers_to_remove.extend(CACHE_HEADERS)
    return made


def unconditional(made: components_pb2.Route) -> Iterator[components_pb2.Route]:
    """Yield a route, preceded by a copy for GET requests that drops conditions: their response is complete.

    The conditions of other methods stay: they decide whether something is changed.
    """
    reading = components_pb2.Route()
    reading.CopyFrom(made)
    exact = string_pb2.StringMatcher(exact="GET")
    reading.match.headers.add(name=":method", string_match=exact)
    reading.request_headers_to_remove.extend(CONDITIONAL_HEADERS)
    yield reading
    yield made
