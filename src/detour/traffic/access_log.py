"""Reading hops from Envoys' access logs (data accesslog v3, `HTTPAccessLogEntry`).

Invariant: pure, and defined for all entries: each becomes a hop, with texts of bounded length.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from envoy.data.accesslog.v3.accesslog_pb2 import AccessLogCommon, HTTPAccessLogEntry, ResponseFlags
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from detour.envoy.vocabulary import CLUSTER, SERVED_BY, TRIAL
from detour.mesh import Naming
from detour.overrides import Kind, parse_baggage
from detour.traffic.hops import Hop
from detour.traffic.reporter import Reporter
from detour.xds.names import parse

_TEXT_MAX: Final = 500
_NAME_MAX: Final = 253
_GRPC_MAX: Final = 16

_WHY: Final[Mapping[str, str]] = {
    "failed_local_healthcheck": "the instance failed its health check",
    "no_healthy_upstream": "no instance is ready",
    "upstream_request_timeout": "the instance did not answer within its timeout",
    "local_reset": "Envoy ended the connection to the instance",
    "upstream_remote_reset": "the instance broke off its answer",
    "upstream_connection_failure": "no connection to the instance could be made",
    "upstream_connection_termination": "the instance closed the connection",
    "upstream_overflow": "more requests were under way than the deployment may have",
    "no_route_found": "the Envoy has no route for it",
    "delay_injected": "an override delayed it",
    "fault_injected": "an override made it fail",
    "downstream_connection_termination": "the caller closed the connection before the answer",
    "upstream_retry_limit_exceeded": "it failed, and so did all retries",
    "stream_idle_timeout": "nothing was sent for too long",
    "downstream_protocol_error": "the caller's request is not valid HTTP",
    "upstream_max_stream_duration_reached": "the instance did not answer within its timeout",
    "duration_timeout": "it took longer than a request may",
    "upstream_protocol_error": "the instance's answer is not valid HTTP",
    "no_cluster_found": "the control plane did not say in time where that is",
    "overload_manager": "the Envoy had too much to do",
    "dns_resolution_failure": "DNS does not know the host",
    "downstream_remote_reset": "the caller gave up before the answer",
}
"""Descriptions of response flags (access log docs, "%RESPONSE_FLAGS%")."""


def trial_of(entry: HTTPAccessLogEntry) -> str | None:
    """Return the trial that a request belongs to."""
    baggage = entry.request.request_headers.get("baggage", "")
    return parse_baggage([baggage]).overrides.value(Kind.CONFIG, TRIAL)


def hop_of(entry: HTTPAccessLogEntry, caller: Reporter, naming: Naming) -> Hop:
    """Return the hop of an entry.

    Args:
        entry: An entry of the caller's access log.
        caller: The Envoy.
        naming: Maps host names to services of the mesh.
    """
    common, request, response = entry.common_properties, entry.request, entry.response
    served_by = common.custom_tags.get(SERVED_BY, "")
    service, deployment = _aim(served_by, common.custom_tags.get(CLUSTER, ""), request.authority, caller, naming)
    grpc_status = response.response_trailers.get("grpc-status") or response.response_headers.get("grpc-status")
    return Hop(
        caller=caller.service,
        caller_deployment=caller.deployment,
        caller_instance=caller.instance,
        service=service[:_NAME_MAX],
        deployment=deployment[:_NAME_MAX] if deployment else None,
        served_by=served_by[:_TEXT_MAX] or None,
        method=_method(entry),
        path=request.path[:_TEXT_MAX],
        status=min(response.response_code.value, 999) or None,
        grpc_status=_grpc_status(grpc_status or ""),
        why=_why(common.response_flags),
        start=_moment(common.start_time),
        seconds=max(0.0, _seconds(_duration(common))),
        by_edge=caller.is_edge,
    )


def _aim(served_by: str, cluster: str, authority: str, caller: Reporter, naming: Naming) -> tuple[str, str | None]:
    """Return the service and the deployment that a request was for.

    The name of its cluster decides, or the request's host if it did not reach a cluster.
    """
    name = cluster or authority
    target = parse(name, naming, caller.namespace)
    if target is None:
        return name, None
    # An override may permit the baseline as a substitute: then the request was for the baseline.
    fell_back = target.falls_back and served_by not in {"", target.label}
    return target.host, None if fell_back else target.deployment


def _method(entry: HTTPAccessLogEntry) -> str:
    descriptor = entry.request.DESCRIPTOR.fields_by_name["request_method"].enum_type
    found = descriptor.values_by_number.get(entry.request.request_method)
    return found.name if found and found.number else "?"


def _grpc_status(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 3 and int(text) <= _GRPC_MAX else None


def _why(flags: ResponseFlags) -> str:
    return "; ".join(dict.fromkeys(_words(flags)))


def _words(flags: ResponseFlags) -> Iterator[str]:
    for descriptor, value in flags.ListFields():
        if value is True:
            yield _WHY.get(descriptor.name, descriptor.name.replace("_", " "))


def _duration(common: AccessLogCommon) -> Duration:
    """Return how long a request took; a request without an answer lacks the time of its last byte."""
    found: Duration = common.duration if common.HasField("duration") else common.time_to_last_downstream_tx_byte
    return found


def _moment(value: Timestamp) -> float:
    return value.seconds + value.nanos / 1e9


def _seconds(value: Duration) -> float:
    return value.seconds + value.nanos / 1e9
