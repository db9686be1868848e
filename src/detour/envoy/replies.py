"""The texts of Envoy's own error responses, as plain data in Envoy's JSON form.

Each names what failed, where, and the likely cause.

Invariant: every body starts with `Detour: ` and has one or two sentences. gRPC clients receive it as
`grpc-message`. The flags are those of Envoy's access log ("%RESPONSE_FLAGS%").
"""

from collections.abc import Iterator
from typing import Final

from detour.envoy.connection_manager import Json, reply
from detour.envoy.vocabulary import CALLED, FAULT_HEADER, METADATA, MISSING, SERVICE, SPEAKS

_WHO: Final = f"%METADATA(CLUSTER:{METADATA}:{CALLED})% at %UPSTREAM_HOST%"
_SPEAKS: Final = f"%METADATA(CLUSTER:{METADATA}:{SPEAKS})%"
_ABORT_HEADERS: Final = ("x-envoy-fault-abort-request", "x-envoy-fault-abort-grpc-request")
"""The headers by which Lua passes an abort to the fault filter."""
_ABORT: Final = f"override.abort.%METADATA(CLUSTER:{METADATA}:{SERVICE})%"


def outbound_replies(no_routes: str, on_demand_timeout: str) -> list[Json]:
    """Return the error responses of sidecars to their applications, and of edges.

    Args:
        no_routes: The error without a route table.
        on_demand_timeout: How long a request waits for the control plane.
    """
    return [
        *_aborted(),
        reply("UH", f"%METADATA(CLUSTER:{METADATA}:{MISSING})%", served_by=True),
        reply("DF", "DNS cannot resolve %REQ(:AUTHORITY)%"),
        reply("NC", f"the control plane did not resolve %REQ(:AUTHORITY)% within {on_demand_timeout}"),
        reply("NR", no_routes, status=503),
        reply("UT", "%UPSTREAM_CLUSTER% did not answer within its timeout", status=504),
        *_failures(_WHO, f"it is called with {_SPEAKS}"),
    ]


def _aborted() -> Iterator[Json]:
    """Yield the responses that an override caused. A scenario's override has no header with its value."""
    words = "caused this response; the request was not sent to the service"
    value = f"%REQ({'?'.join(_ABORT_HEADERS)})%"
    by_request = reply("FI", f"{_ABORT}={value} in this request's baggage {words}", header=(FAULT_HEADER, _ABORT))
    has_value = [{"header_filter": {"header": {"name": name, "present_match": True}}} for name in _ABORT_HEADERS]
    both = [by_request["filter"], {"or_filter": {"filters": has_value}}]
    by_request["filter"] = {"and_filter": {"filters": both}}
    yield by_request
    yield reply("FI", f"{_ABORT} in this request's scenario {words}", header=(FAULT_HEADER, _ABORT))


def inbound_replies(app_port: int) -> list[Json]:
    """Return the error responses of a sidecar on behalf of its application."""
    who = f"the application behind this sidecar, at 127.0.0.1:{app_port} (--app-port),"
    return list(_failures(who, "it was called with the caller's %PROTOCOL%"))


def outside_replies() -> list[Json]:
    """Return the error responses on the way out of the mesh."""
    unknown = "the mesh has no service %REQ(:AUTHORITY)%, and DNS cannot resolve that name"
    who = "%REQ(:AUTHORITY)%, which is outside the mesh, at %UPSTREAM_HOST%"
    return [reply("DF", unknown), *_failures(who, "it was called with %PROTOCOL%")]


def _failures(who: str, protocol: str) -> Iterator[Json]:
    """Yield the errors for a server that cannot be reached, or that does not respond as it should."""
    reason = "%UPSTREAM_TRANSPORT_FAILURE_REASON%"
    yield reply("UF", f"{who} cannot be reached ({reason}); most likely nothing listens there")
    yield reply("UPE", f"{who} did not answer in the expected protocol: {protocol}")
    yield reply("UO", f"{who} is at a limit of this Envoy: too many concurrent requests or connections")
    closed = f"{who} closed the connection before it answered"
    yield reply("UC", f"{closed}: it crashed, is shutting down, or speaks another protocol ({protocol})")
    yield reply("UR", f"{who} reset the request before it answered (%RESPONSE_CODE_DETAILS%)")
