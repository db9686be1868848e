"""Overrides in message headers, for libraries that neither OpenTelemetry nor the mends support.

Producers add `carried()` to a message's headers; consumers handle the message in `under_carried(headers)`.

Invariant: without overrides a message does not change, and no header value raises an exception.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import propagate, trace
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.propagators.textmap import Getter

from detour.overrides import Overrides
from detour.sdk.propagator import without_any
from detour.sdk.request import carried_in, current, parsed_in
from detour.sdk.scope import Scope, with_scope

Headers = Mapping[str, str]
"""A message's headers as text, whatever their wire format."""


class _Getter(Getter[Headers]):
    def get(self, carrier: Headers, key: str) -> list[str] | None:
        value = carrier.get(key)
        return None if value is None else [value]

    def keys(self, carrier: Headers) -> list[str]:
        return list(carrier)


_GETTER: Final = _Getter()


def carried() -> dict[str, str]:
    """Return headers with the current request's overrides, readable or not; empty if it has none."""
    headers: dict[str, str] = {}
    if current() or parsed_in(get_current()).unread:
        propagate.inject(headers)
    return headers


@contextmanager
def under_carried(headers: Headers) -> Iterator[Overrides]:
    """Run a block with the overrides in these headers, and no others."""
    scope = Scope(seen=True)
    context = context_of(headers, scope)
    token = attach(context)
    try:
        yield carried_in(context)
    finally:
        scope.complete()
        detach(token)


def context_of(headers: Headers, scope: Scope) -> Context:
    """Return the current context with a message's baggage instead of its own.

    An existing span stays: the code that started it has decided what it belongs to.

    Args:
        headers: The message's headers.
        scope: The scope that is completed when the message has been handled.
    """
    context = propagate.extract(headers, with_scope(without_any(get_current()), scope), _GETTER)
    span = trace.get_current_span()
    return trace.set_span_in_context(span, context) if span.get_span_context().is_valid else context


def texts(pairs: Iterable[tuple[Any, Any]] | None) -> Headers:
    """Return headers as text. Values that are not text are left out; of two with one name the last one wins."""
    found: dict[str, str] = {}
    for name, value in pairs or ():
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if isinstance(name, str) and isinstance(text, str):
            found[name.lower()] = text
    return found
