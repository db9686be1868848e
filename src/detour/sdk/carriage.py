"""Overrides in the headers of a message: how they get in, and how its handler runs under them.

For whoever sends and takes messages by something that neither OpenTelemetry nor the mends know.

Invariant: without overrides a message is what it was; and nothing that its headers hold raises.
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
"""A message's headers as text, whatever they are on the wire."""


class _Getter(Getter[Headers]):
    def get(self, carrier: Headers, key: str) -> list[str] | None:
        value = carrier.get(key)
        return None if value is None else [value]

    def keys(self, carrier: Headers) -> list[str]:
        return list(carrier)


_GETTER: Final = _Getter()


def carried() -> dict[str, str]:
    """Return the headers that carry the current request's overrides on, readable or not; empty if it has none."""
    headers: dict[str, str] = {}
    if current() or parsed_in(get_current()).unread:
        propagate.inject(headers)
    return headers


@contextmanager
def under_carried(headers: Headers) -> Iterator[Overrides]:
    """Run what is in the block under the overrides that these headers carry, and no others."""
    scope = Scope(seen=True)
    context = context_of(headers, scope)
    token = attach(context)
    try:
        yield carried_in(context)
    finally:
        scope.complete()
        detach(token)


def context_of(headers: Headers, scope: Scope) -> Context:
    """Return the current context with the baggage of a message, and none else.

    The span stays where there is one: whoever made it has decided what it belongs to.

    Args:
        headers: The message's.
        scope: What is completed when the message has been handled.
    """
    context = propagate.extract(headers, with_scope(without_any(get_current()), scope), _GETTER)
    span = trace.get_current_span()
    return trace.set_span_in_context(span, context) if span.get_span_context().is_valid else context


def texts(pairs: Iterable[tuple[Any, Any]] | None) -> Headers:
    """Return headers as text; what is none is left out, and of two with one name the last one counts."""
    found: dict[str, str] = {}
    for name, value in pairs or ():
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if isinstance(name, str) and isinstance(text, str):
            found[name.lower()] = text
    return found
