"""Limits, timeouts and retries of clusters (HTTP protocol options v3).

Invariant: a deployment's cluster has the same limits as its baseline's, and its requests count separately.
"""

from functools import cache, lru_cache
from typing import Final

from envoy.config.cluster.v3 import circuit_breaker_pb2
from envoy.config.route.v3 import route_components_pb2

# Imported for its side effect: JSON with such an `Any` can be parsed only after its module is imported.
from envoy.extensions.http.header_formatters.preserve_case.v3 import preserve_case_pb2 as _case_pb2  # noqa: F401
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from google.protobuf.any_pb2 import Any
from google.protobuf.json_format import ParseDict
from google.protobuf.wrappers_pb2 import UInt32Value

from detour.envoy.transparency import (
    COMMON_UPSTREAM,
    HTTP1_UPSTREAM,
    HTTP2_UPSTREAM,
    LIMITS,
    RESET_RETRIES,
    SAFE_RETRIES,
)
from detour.mesh import Protocol, RetryPolicy, Service
from detour.xds.messages import packed

_REMEMBERED_MAX: Final = 1000


@cache
def unlimited() -> circuit_breaker_pb2.CircuitBreakers:
    """Remove Envoy's default limits, so that a sidecar adds none to services and deployments."""
    return ParseDict(LIMITS, circuit_breaker_pb2.CircuitBreakers())


def http_options(service: Service, protocol: Protocol) -> Any:
    """Return the options of a cluster of a service or one of its deployments. Callers must not change them."""
    return _options(service.retries, protocol, has_timeout=service.timeout is not None)


# Most services share the same options, and each name that a client invents is a cluster.
@lru_cache(_REMEMBERED_MAX)
def _options(own: RetryPolicy | None, protocol: Protocol, *, has_timeout: bool) -> Any:
    options = _common()
    match protocol:
        case Protocol.HTTP1:
            ParseDict(HTTP1_UPSTREAM, options.explicit_http_config.http_protocol_options)
        case Protocol.HTTP2:
            ParseDict(HTTP2_UPSTREAM, options.explicit_http_config.http2_protocol_options)
        case Protocol.AUTO | Protocol.TCP:
            # HTTP for a port that the mesh declares as another protocol is what its caller knows better.
            _use_downstream(options)
    options.retry_policy.CopyFrom(_own(own) if own else _usual(protocol, has_timeout=has_timeout))
    return packed(options)


@cache
def as_downstream() -> Any:
    """Return the options of a cluster that uses the protocol of the incoming request."""
    options = _common()
    _use_downstream(options)
    return packed(options)


def _use_downstream(options: http_protocol_options_pb2.HttpProtocolOptions) -> None:
    ParseDict(HTTP1_UPSTREAM, options.use_downstream_protocol_config.http_protocol_options)
    ParseDict(HTTP2_UPSTREAM, options.use_downstream_protocol_config.http2_protocol_options)


def _common() -> http_protocol_options_pb2.HttpProtocolOptions:
    options = http_protocol_options_pb2.HttpProtocolOptions()
    ParseDict(COMMON_UPSTREAM, options.common_http_protocol_options)
    return options


def _own(retries: RetryPolicy) -> route_components_pb2.RetryPolicy:
    return route_components_pb2.RetryPolicy(
        retry_on=",".join(retries.on), num_retries=UInt32Value(value=retries.attempts)
    )


def _usual(protocol: Protocol, *, has_timeout: bool) -> route_components_pb2.RetryPolicy:
    # A policy cannot distinguish the protocols of requests, so undeclared ports get the one that is safe for both.
    retries = SAFE_RETRIES if protocol == Protocol.HTTP2 else RESET_RETRIES
    made = ParseDict(retries, route_components_pb2.RetryPolicy())
    if has_timeout and protocol != Protocol.HTTP2:
        # Envoy treats a timeout as a reset and retries: limit how often a slow attempt is repeated.
        made.num_retries.value = 1
    return made
