"""A propagator that carries overrides into a service and out of it, before the configured propagators.

OpenTelemetry's own propagator for baggage loses some overrides: of several header lines it reads only the first,
and it reads `+` as a space and writes a space as `+`, unlike SDKs of other languages. So overrides are read and
written as in https://www.w3.org/TR/baggage/, and everything else is left to the configured propagators.
`x-ot-span-context` is read, too, and forwarded if the request came with it.

Unreadable overrides are forwarded unchanged: the service that they are for rejects them, so they never vanish.

Invariant: no header value raises an exception, and other baggage never makes a header longer than 8192 bytes.
"""

import logging
from collections.abc import Mapping
from typing import Final, cast

from opentelemetry import baggage
from opentelemetry.context import Context, create_key, get_current, get_value, set_value
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from detour.overrides import (
    HEADER_MAX,
    WHOLE_HEADER,
    OverrideProblem,
    Overrides,
    Parsed,
    members_of,
    parse_baggage,
    parse_opentracing,
    strip_opentracing,
    write_opentracing,
)
from detour.sdk.request import carried_in, parsed_in, report_problems, with_parsed, without
from detour.sdk.scope import Scope, scope_of, with_scope

_logger = logging.getLogger(__name__)

BAGGAGE: Final = "baggage"
OPENTRACING: Final = "x-ot-span-context"

_NOTHING: Final = Parsed(Overrides())

_CARRIER: Final = create_key("detour-opentracing-carrier")


class OverridesPropagator(TextMapPropagator):
    """Reads and writes overrides; delegates everything else to other propagators.

    Args:
        others: OpenTelemetry's global propagator.
    """

    def __init__(self, others: TextMapPropagator) -> None:
        self.others = others

    @property
    def fields(self) -> set[str]:
        """The headers that may be written."""
        return {*self.others.fields, BAGGAGE, OPENTRACING}

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """Return the context with the carrier's overrides; unreadable ones are reported.

        Without a given context, overrides of an earlier request in the current context are removed. A given context
        keeps its own.
        """
        before = outside(get_current()) if context is None else _without_ended(context)
        try:
            return self._extract(carrier, before, _Joining(getter))
        except Exception:  # a getter may fail on an unexpected carrier, and the request must not
            _logger.warning("a request's headers could not be read; it is served without them", exc_info=True)
            return before

    def _extract(self, carrier: CarrierT, context: Context, getter: "_Joining[CarrierT]") -> Context:
        own = _NOTHING
        before = parsed_in(context)
        context = self.others.extract(carrier, context, getter)
        if header := getter.line(carrier, OPENTRACING):
            own = _reported(parse_opentracing(header))
            context = set_value(_CARRIER, _passed_on(header, own), context)
        if header := getter.line(carrier, BAGGAGE):
            own = _both(_reported(parse_baggage([header])), own)
        if own:
            context = with_scope(context, _scope(context, own.overrides, before.overrides))
        # Other propagators decode differently, so their results for overrides are replaced.
        return with_parsed(context, _both(own, before))

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Write the context's content; overrides follow other baggage."""
        if context is None:
            context = get_current()
        if not carried_in(context):
            context = _without_ended(context)
        own = parsed_in(context)
        opentracing = get_value(_CARRIER, context)
        if not own and opentracing is None:
            self.others.inject(carrier, context, setter)
            return
        headers: dict[str, str] = {}
        self.others.inject(headers, _without(context, own))
        if own:
            headers[BAGGAGE] = _appended(headers.get(BAGGAGE), own)
        if isinstance(opentracing, str):
            headers[OPENTRACING] = _written(opentracing, own.overrides)
        for name, value in headers.items():
            setter.set(carrier, name, value)


def without_any(context: Context) -> Context:
    """Return the context without any baggage, and without the headers that it arrived in."""
    return set_value(_CARRIER, None, baggage.clear(without(context)))


def outside(context: Context) -> Context:
    """Return the context for a request that arrives now: without the overrides of an earlier one."""
    scope = scope_of(context)
    return context if scope is None or scope.shared else set_value(_CARRIER, None, without(context))


def entered(headers: Mapping[str, str], scope: Scope) -> Context | None:
    """Return the context for a request with these headers; None if it is the current one.

    Only overrides are read. Trace and other baggage are left to the instrumentation that traces the request.
    """
    current = get_current()
    context = outside(current)
    if headers.keys() & {BAGGAGE, OPENTRACING}:
        context = _ALONE.extract(headers, with_scope(context, scope))
        if not parsed_in(context):
            context = outside(current)
    return None if context is current else context


def outgoing(header: str) -> str | None:
    """Return the baggage of an outgoing call; None if it does not have to change.

    Args:
        header: The call's baggage so far, from the service and from OpenTelemetry, if that has written it.
    """
    if not baggage.get_all():
        return None
    headers: dict[str, str] = {}
    _ALONE.inject(headers)
    own = headers.get(BAGGAGE)
    if not own or header.endswith(own):
        return None
    keys = {_key(member) for member in own.split(",")}
    kept = [member for member in header.split(",") if member.strip() and _key(member) not in keys]
    while kept and len(",".join(kept)) + 1 + len(own) > HEADER_MAX:
        kept.pop()
    return ",".join([*kept, own])


def _key(member: str) -> str:
    return member.partition("=")[0].strip()


def _scope(context: Context, own: Overrides, before: Overrides) -> Scope:
    """Return the scope of incoming overrides. Several readers of one request's headers share one scope."""
    if _is_same(scope_of(context)) and (not before or before == own):
        return cast("Scope", scope_of(context))
    current = get_current()
    if _is_same(scope_of(current)) and carried_in(current) == own:
        return cast("Scope", scope_of(current))
    return Scope(seen=False)


def _both(own: Parsed, others: Parsed) -> Parsed:
    """Return the union; of two with one key `own` wins. Nearly always one of them is empty."""
    return own.over(others) if own and others else own or others


def _is_same(scope: Scope | None) -> bool:
    return scope is not None and scope.seen and not scope.shared and not scope.completed


def _without_ended(context: Context) -> Context:
    scope = scope_of(context)
    return without(context) if scope is not None and scope.over() else context


def _without(context: Context, own: Parsed) -> Context:
    for key in (*own.overrides.by_key, *own.unread):
        context = baggage.remove_baggage(key, context)
    return context


def _passed_on(header: str, parsed: Parsed) -> str | None:
    """Return the span context to forward: unchanged if its overrides are unreadable, so that they are rejected."""
    is_whole = any(one.key == WHOLE_HEADER for one in parsed.problems)
    return header if is_whole else strip_opentracing(header)


_ALONE: Final = OverridesPropagator(CompositePropagator([]))


class _Joining(Getter[CarrierT]):
    """Reads a carrier like another getter, but joins all lines of the baggage."""

    def __init__(self, getter: Getter[CarrierT]) -> None:
        self._getter = getter

    def get(self, carrier: CarrierT, key: str) -> list[str] | None:
        if key != BAGGAGE:
            return self._getter.get(carrier, key)
        lines = list(self._getter.get(carrier, key) or ())
        return [",".join(lines)] if lines else None

    def keys(self, carrier: CarrierT) -> list[str]:
        return self._getter.keys(carrier)

    def line(self, carrier: CarrierT, key: str) -> str:
        """Return a header's first line, or ""."""
        return next(iter(self.get(carrier, key) or ()), "")


def _reported(parsed: Parsed) -> Parsed:
    report_problems(parsed.problems)
    return parsed


def _appended(header: str | None, own: Parsed) -> str:
    """Return baggage with the overrides appended; if it is too long, the last other entries are dropped.

    Overrides are never dropped: if they alone are too long, the next sidecar refuses the request.
    """
    members, ours = header.split(",") if header else [], ",".join(members_of(own))
    length = len(header or "") + 1 + len(ours)
    while members and length > HEADER_MAX:
        length -= len(members[-1]) + 1
        report_problems(
            (OverrideProblem(members.pop(), f"with the overrides, the baggage would exceed {HEADER_MAX} bytes"),)
        )
    return ",".join([*members, ours])


def _written(header: str, overrides: Overrides) -> str:
    try:
        return write_opentracing(header, overrides)
    except ValueError as error:
        report_problems((OverrideProblem(OPENTRACING, str(error)),))
        return header
