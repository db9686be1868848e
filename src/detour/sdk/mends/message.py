"""The context of a message that is being handled, where the library calls nobody: iterators, polls, lists.

A message's context is current from when it is taken until the same consumer takes the next one, or ends.

Invariant: what was current before comes back, whatever other people attached and detached in between; the state
is in the context itself, so a consumer may be used by several threads and tasks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, SupportsIndex, TypeVar, overload

from opentelemetry import baggage, propagate, trace
from opentelemetry.context import Context, attach, create_key, get_current, get_value, set_value
from opentelemetry.propagators.textmap import Getter

from detour.sdk.request import current

M = TypeVar("M")

_HELD: Final = create_key("detour-held-message")

Headers = Mapping[str, str]
"""A message's headers as text, whatever they are on the wire."""


@dataclass(frozen=True, slots=True)
class _Held:
    consumer: int
    before: Context


class _Getter(Getter[Headers]):
    def get(self, carrier: Headers, key: str) -> list[str] | None:
        value = carrier.get(key)
        return None if value is None else [value]

    def keys(self, carrier: Headers) -> list[str]:
        return list(carrier)


_GETTER: Final = _Getter()


def hold(consumer: object, headers: Headers) -> None:
    """Make a message's context current, until the consumer's next one or `release`."""
    release(consumer)
    before = get_current()
    attach(set_value(_HELD, _Held(id(consumer), before), context_of(headers)))


def release(consumer: object) -> None:
    """Return to what was current before the consumer's last message, if that one is still current here."""
    held = get_value(_HELD)
    if isinstance(held, _Held) and held.consumer == id(consumer):
        attach(held.before)


def context_of(headers: Headers) -> Context:
    """Return the current context with the baggage of a message, and none else.

    The span stays where there is one: whoever made it has decided what it belongs to.
    """
    context = propagate.extract(headers, baggage.clear(), _GETTER)
    span = trace.get_current_span()
    return trace.set_span_in_context(span, context) if span.get_span_context().is_valid else context


def carried() -> dict[str, str]:
    """Return the headers that carry the current request's overrides; empty if it has none."""
    headers: dict[str, str] = {}
    if current():
        propagate.inject(headers)
    return headers


class Batch(list[M], Generic[M]):
    """Messages that came together: going through them makes each one's context current in turn.

    Args:
        messages: They.
        headers: What tells a message's headers.
        consumer: Whose they are; its next message ends the last one's context.
    """

    def __init__(self, messages: Sequence[M], headers: Callable[[M], Headers], consumer: object) -> None:
        super().__init__(messages)
        self._headers = headers
        self._consumer = consumer

    def __iter__(self) -> Iterator[M]:
        try:
            for message in super().__iter__():
                hold(self._consumer, self._headers(message))
                yield message
        finally:
            release(self._consumer)

    @overload
    def __getitem__(self, index: SupportsIndex) -> M: ...
    @overload
    def __getitem__(self, index: slice) -> list[M]: ...
    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        if isinstance(index, slice):
            return Batch(found, self._headers, self._consumer)
        hold(self._consumer, self._headers(found))
        return found
