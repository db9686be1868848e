"""The context of a message that is being handled, where the library calls nobody: iterators, polls, lists.

A message's context is current from when it is taken until the same consumer takes the next one, or ends.

Invariant: what was current before comes back, whatever other people attached and detached in between; the state
is in the context itself, so a consumer may be used by several threads and tasks.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Generic, SupportsIndex, TypeVar, overload

from opentelemetry.context import Context, attach, create_key, get_current, get_value, set_value

from detour.sdk.carriage import Headers, context_of

M = TypeVar("M")

_HELD: Final = create_key("detour-held-message")


@dataclass(frozen=True, slots=True)
class _Held:
    consumer: int
    before: Context


def hold(consumer: object, headers: Headers, before: Context | None = None) -> None:
    """Make a message's context current, until the consumer's next one or `release`.

    Args:
        consumer: Who took it.
        headers: The message's.
        before: What was current before it was taken, if an instrumentation has changed that since.
    """
    release(consumer)
    held = _Held(id(consumer), get_current() if before is None else before)
    attach(set_value(_HELD, held, context_of(headers)))


def release(consumer: object) -> None:
    """Return to what was current before the consumer's last message, if that one is still current here."""
    held = get_value(_HELD)
    if isinstance(held, _Held) and held.consumer == id(consumer):
        attach(held.before)


@contextmanager
def kept(consumer: object) -> Iterator[None]:
    """Keep a message's context through the block, in which an instrumentation may end what it takes for its own."""
    current = get_current()
    held = get_value(_HELD, current)
    yield
    if isinstance(held, _Held) and held.consumer == id(consumer):
        attach(current)


class Batch(list[M], Generic[M]):
    """Messages that came together: going through them makes each one's context current in turn.

    Args:
        messages: They, in a list that may do something of its own when one is taken out of it.
        headers: What tells a message's headers.
        consumer: Whose they are; its next message ends the last one's context.
    """

    def __init__(self, messages: list[M], headers: Callable[[M], Headers], consumer: object) -> None:
        super().__init__(list.__iter__(messages))
        self._messages = messages
        self._headers = headers
        self._consumer = consumer

    def __iter__(self) -> Iterator[M]:
        try:
            for index in range(len(self)):
                yield self[index]
        finally:
            release(self._consumer)

    @overload
    def __getitem__(self, index: SupportsIndex) -> M: ...
    @overload
    def __getitem__(self, index: slice) -> list[M]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Batch(super().__getitem__(index), self._headers, self._consumer)
        release(self._consumer)
        before = get_current()
        found = self._messages[index]
        hold(self._consumer, self._headers(found), before)
        return found
