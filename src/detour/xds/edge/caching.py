"""What caches are to keep of responses that overrides have changed: nothing (RDS v3).

Invariant: a cache in front of an edge never hands what one person sees in a scenario to somebody else, and no
answer of one version is made of what is stored of another.
"""

from collections.abc import Iterator

from envoy.config.route.v3 import route_components_pb2 as components_pb2
from envoy.type.matcher.v3 import string_pb2

from detour.envoy.vocabulary import CACHES_OWN, CONDITIONS
from detour.xds.route_parts import setting


def unstored(made: components_pb2.Route) -> components_pb2.Route:
    """Keep a route's responses out of every cache."""
    made.response_headers_to_add.append(setting("cache-control", "private, no-store"))
    made.response_headers_to_remove.extend(CACHES_OWN)
    return made


def unconditional(made: components_pb2.Route) -> Iterator[components_pb2.Route]:
    """Yield a route, and before it one on which whoever only reads gets the whole of what there is.

    The conditions of other methods decide whether something is changed, and stay.
    """
    reading = components_pb2.Route()
    reading.CopyFrom(made)
    exact = string_pb2.StringMatcher(exact="GET")
    reading.match.headers.add(name=":method", string_match=exact)
    reading.request_headers_to_remove.extend(CONDITIONS)
    yield reading
    yield made
