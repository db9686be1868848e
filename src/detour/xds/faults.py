"""Builds configurations of Envoy's fault filter (fault filter v3)."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, assert_never

from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.type.v3 import percent_pb2

from detour.overrides import Kind, Override, Overrides, delay_ms
from detour.xds.messages import duration

_ALWAYS: Final = percent_pb2.FractionalPercent(numerator=100)
_GRPC_CODE_MAX: Final = 16


def by_header() -> fault_pb2.HTTPFault:
    """Return a configuration that takes faults from request headers, which the preceding Lua filter sets."""
    fault = fault_pb2.HTTPFault()
    fault.delay.header_delay.SetInParent()
    fault.delay.percentage.CopyFrom(_ALWAYS)
    fault.abort.header_abort.SetInParent()
    fault.abort.percentage.CopyFrom(_ALWAYS)
    return fault


@dataclass(frozen=True, slots=True)
class Fault:
    """The fault that applies to every request to a service.

    Args:
        delay: How long a request is delayed.
        status: The HTTP status that it is then answered with, if any.
        code: The gRPC code that gRPC requests are then answered with, if any.
    """

    delay: timedelta = timedelta()
    status: int | None = None
    code: int | None = None

    @staticmethod
    def of(overrides: Overrides, service: str) -> "Fault":
        """Return the fault that overrides define for a service."""
        fault = Fault()
        for one in overrides:
            if one.subject == service:
                fault = fault._with(one)
        return fault

    def _with(self, one: Override) -> "Fault":
        match one.kind:
            case Kind.DELAY:
                return replace(self, delay=timedelta(milliseconds=delay_ms(one.value) or 0))
            case Kind.ABORT:
                number = int(one.value)
                is_code = number <= _GRPC_CODE_MAX
                return replace(self, status=None if is_code else number, code=number if is_code else None)
            case Kind.ROUTE | Kind.CONFIG | Kind.LOG | Kind.DB | Kind.MISSING:
                return self
            case unknown:
                assert_never(unknown)

    def filter_config(self, *, grpc: bool) -> fault_pb2.HTTPFault | None:
        """Return the filter's configuration for gRPC requests, or for others; None if no fault applies."""
        fault = fault_pb2.HTTPFault()
        if self.delay:
            fault.delay.fixed_delay.CopyFrom(duration(self.delay))
            fault.delay.percentage.CopyFrom(_ALWAYS)
        if self.status is not None:
            fault.abort.http_status = self.status
        if self.code is not None and grpc:
            fault.abort.grpc_status = self.code
        if fault.HasField("abort"):
            fault.abort.percentage.CopyFrom(_ALWAYS)
        return fault if fault.HasField("abort") or fault.HasField("delay") else None
