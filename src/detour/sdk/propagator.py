"""What carries overrides into a service and out of it: a propagator in front of those that are configured.

OpenTelemetry's own one for baggage loses some of them: of several header lines it reads the first, and it reads `+`
as a space and writes a space as `+`, which SDKs of other languages do not. So overrides are read and written as
https://www.w3.org/TR/baggage/ has it, and everything else is left to the propagators behind. `x-ot-span-context`
is read too, and passed on where it came in.

What can't be read goes on as it came: it fails where it is for, and never vanishes.

Invariant: nothing that a carrier holds raises, and other people's baggage makes no header longer than 8192 bytes.
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
    Overrides,
    Parsed,
    Problem,
    members_of,
    parse_baggage,
    parse_opentracing,
    strip_opentracing,
    write_opentracing,
)
from detour.sdk.request import carried_in, parsed_in, tell, with_parsed, without
from detour.sdk.scope import Scope, scope_of, with_scope

_logger = logging.getLogger(__name__)

BAGGAGE: Final = "baggage"
OPENTRACING: Final = "x-ot-span-context"

_NOTHING: Final = Parsed(Overrides())

_CARRIER: Final = create_key("detour-opentracing-carrier")


class OverridesPropagator(TextMapPropagator):
    """Reads and writes overrides, and has the others read and write what is theirs.

    Args:
        others: OpenTelemetry's global propagator, whatever it is made of.
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
        """Return the context with what the carrier holds; whatever can't be read is left out and told.

        Overrides of an earlier request that the current context holds are not part of it; those of a context that
        is given are.
        """
        before = outside(get_current()) if context is None else _without_ended(context)
        try:
            return self._extract(carrier, before, _Joining(getter))
        except Exception:  # a getter fails on what it was not made for, and a request must not
            _logger.warning("a request's headers could not be read; it goes on without them", exc_info=True)
            return before

    def _extract(self, carrier: CarrierT, context: Context, getter: "_Joining[CarrierT]") -> Context:
        own = _NOTHING
        before = parsed_in(context)
        context = self.others.extract(carrier, context, getter)
        if header := getter.line(carrier, OPENTRACING):
            own = _told(parse_opentracing(header))
            context = set_value(_CARRIER, _passed_on(header, own), context)
        if header := getter.line(carrier, BAGGAGE):
            own = _both(_told(parse_baggage([header])), own)
        if own:
            context = with_scope(context, _scope(context, own.overrides, before.overrides))
        # Other propagators decode in ways of their own: what they made of overrides is replaced.
        return with_parsed(context, _both(own, before))

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Write what the context holds; overrides come behind other people's baggage."""
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
    """Return the context as it is outside of any request: without baggage, and without what carried it in."""
    return set_value(_CARRIER, None, baggage.clear(without(context)))


def outside(context: Context) -> Context:
    """Return the context as a request finds it that comes in now: without the overrides of an earlier one."""
    scope = scope_of(context)
    return context if scope is None or scope.shared else set_value(_CARRIER, None, without(context))


def entered(headers: Mapping[str, str], scope: Scope) -> Context | None:
    """Return the context in which a request with these headers is served; None if it is the current one.

    Only overrides are read: trace and other baggage are for whoever traces the request.
    """
    current = get_current()
    context = outside(current)
    if headers.keys() & {BAGGAGE, OPENTRACING}:
        context = _ALONE.extract(headers, with_scope(context, scope))
        if not parsed_in(context):
            context = outside(current)
    return None if context is current else context


def outgoing(header: str) -> str | None:
    """Return the baggage of a call that goes out now; None if it may go out as it is.

    Args:
        header: What the call has so far, from the service and from OpenTelemetry, if that has written it.
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
    """Return the scope of overrides that came in; of one request, whoever reads its headers first makes it."""
    if _is_same(scope_of(context)) and (not before or before == own):
        return cast("Scope", scope_of(context))
    current = get_current()
    if _is_same(scope_of(current)) and carried_in(current) == own:
        return cast("Scope", scope_of(current))
    return Scope(seen=False)


def _both(own: Parsed, others: Parsed) -> Parsed:
    """Return both, of one key `own`; nearly always there is only one of them."""
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
    """Return what of a span context goes on: all of it where its overrides can't be read, so that they fail."""
    is_whole = any(one.key == WHOLE_HEADER for one in parsed.problems)
    return header if is_whole else strip_opentracing(header)


_ALONE: Final = OverridesPropagator(CompositePropagator([]))


class _Joining(Getter[CarrierT]):
    """Reads a carrier as another getter does, but all lines of the baggage as one."""

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
        """Return a header's first line, "" if it is not there."""
        return next(iter(self.get(carrier, key) or ()), "")


def _told(parsed: Parsed) -> Parsed:
    tell(parsed.problems)
    return parsed


def _appended(header: str | None, own: Parsed) -> str:
    """Return baggage with the overrides behind what is there; where it is too long, other people's last ones go.

    Overrides are never left out: where they are too long by themselves, the next sidecar refuses the request.
    """
    members, ours = header.split(",") if header else [], ",".join(members_of(own))
    length = len(header or "") + 1 + len(ours)
    while members and length > HEADER_MAX:
        length -= len(members[-1]) + 1
        tell((Problem(members.pop(), f"with the overrides the baggage would have over {HEADER_MAX} bytes"),))
    return ",".join([*members, ours])


def _written(header: str, overrides: Overrides) -> str:
    try:
        return write_opentracing(header, overrides)
    except ValueError as error:
        tell((Problem(OPENTRACING, str(error)),))
        return header
