"""The context of a message in libraries without handler functions: iterators, polls, lists.

A message's context is current from when the message is taken until the same consumer takes the next one, or ends.

Invariant: afterwards the previous context is current again, whatever other code attached and detached meanwhile.
The state is part of the context itself, so several threads and tasks may use a consumer. It holds at most one
message per consumer.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, SupportsIndex, TypeVar, overload

from opentelemetry.context import Context, attach, create_key, get_current, get_value, set_value

from detour.sdk.carriage import Headers, carried, context_of
from detour.sdk.scope import Scope

M = TypeVar("M")
Args = tuple[Any, ...]
Kwargs = dict[str, Any]

_HELD: Final = create_key("detour-held-message")


@dataclass(frozen=True, slots=True)
class _Held:
    consumer: int
    before: Context
    scope: Scope


def hold(consumer: object, headers: Headers, before: Context | None = None) -> None:
    """Make a message's context current, until the consumer's next message or `release`.

    Args:
        consumer: The consumer that took the message.
        headers: The message's headers.
        before: The context before the message was taken, if an instrumentation has changed it since.
    """
    release(consumer)
    held = _Held(id(consumer), get_current() if before is None else before, Scope(seen=True))
    attach(set_value(_HELD, held, context_of(headers, held.scope)))


def release(consumer: object) -> None:
    """End the context of the consumer's last message; a later message of another consumer stays current."""
    current = get_current()
    without = _without(id(consumer), current)
    if without is not current:
        attach(without)


def _without(consumer: int, context: Context) -> Context:
    """Return the context as if the consumer had taken nothing: its message has been handled."""
    held = get_value(_HELD, context)
    if not isinstance(held, _Held):
        return context
    if held.consumer == consumer:
        held.scope.complete()
        return held.before
    before = _without(consumer, held.before)
    return context if before is held.before else set_value(_HELD, replace(held, before=before), context)


@contextmanager
def kept() -> Iterator[None]:
    """Restore the current context after a block in which an instrumentation may detach it."""
    current = get_current()
    try:
        yield
    finally:
        if get_current() is not current:
            attach(current)


def own_headers(headers: Any) -> Any:
    """Return a copy of headers, whatever their type; anything that is not a container is returned unchanged."""
    return copy(headers) if isinstance(headers, list | dict) else headers


def with_own(
    name: str, position: int, args: Args, kwargs: Kwargs, own: Callable[[Any], Any] = own_headers
) -> tuple[Args, Kwargs]:
    """Return a call's arguments, with a copy of the one whose headers instrumentations write into.

    A service may pass the same object with each message, which would send one request's overrides with the next
    one.

    Args:
        name: The argument's name.
        position: Its position, if it is passed without its name.
        args: The call's positional arguments.
        kwargs: The call's keyword arguments.
        own: A function that copies the argument.
    """
    if len(args) > position:
        return (*args[:position], own(args[position]), *args[position + 1 :]), kwargs
    return args, {**kwargs, name: own(kwargs[name])} if name in kwargs else kwargs


def with_carried(name: str, position: int, args: Args, kwargs: Kwargs, *, traced: bool) -> tuple[Args, Kwargs]:
    """Return a call's arguments with overrides added to the list of a message's headers.

    If OpenTelemetry traces the call, it adds them itself, whatever the list contains; then the list is only copied.
    """
    entries = {} if traced else carried()
    if not entries:
        return with_own(name, position, args, kwargs)
    given = args[position] if len(args) > position else kwargs.get(name)
    own = [
        *(one for one in given or () if one[0] not in entries),
        *((key, value.encode()) for key, value in entries.items()),
    ]
    if len(args) > position:
        return (*args[:position], own, *args[position + 1 :]), kwargs
    return args, {**kwargs, name: own}


class Taking(Generic[M]):
    """Iterates over a consumer's messages. The last message's context ends with the loop, even if that ends early.

    Args:
        consumer: The source of the messages.
    """

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._held: object = None

    def __iter__(self) -> Iterator[M]:
        return self

    def __aiter__(self) -> AsyncIterator[M]:
        return self

    def __next__(self) -> M:
        found: M = next(self._consumer)
        self._held = get_value(_HELD)
        return found

    async def __anext__(self) -> M:
        found: M = await anext(self._consumer)
        self._held = get_value(_HELD)
        return found

    def __del__(self) -> None:
        if self._held is not None and get_value(_HELD) is self._held:  # otherwise another loop holds a message
            release(self._consumer)


class Batch(list[M], Generic[M]):
    """Messages that arrived together: iterating over them makes each one's context current in turn.

    In all other respects it is a list: the service may change it, and a copy of it is a plain list.

    Args:
        messages: The messages, in a list that may have behaviour of its own when one is removed.
        headers: Returns a message's headers.
        consumer: Their consumer, whose next message ends the last one's context.
    """

    def __init__(self, messages: list[M], headers: Callable[[M], Headers], consumer: object) -> None:
        super().__init__(list.__iter__(messages))
        self._messages = messages
        self._headers = headers
        self._consumer = consumer

    def __iter__(self) -> Iterator[M]:
        index = 0
        try:
            while index < len(self):
                yield self[index]
                index += 1
        finally:
            release(self._consumer)

    @overload
    def __getitem__(self, index: SupportsIndex) -> M: ...
    @overload
    def __getitem__(self, index: slice) -> list[M]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Batch(super().__getitem__(index), self._headers, self._consumer)
        found = super().__getitem__(index)
        release(self._consumer)
        before = get_current()
        self._take(index, found)
        if (headers := self._headers_of(found)) is not None:
            hold(self._consumer, headers, before)
        return found

    def pop(self, index: SupportsIndex = -1) -> M:
        """Remove a message and return it; its context is current until the next one."""
        found = self[index]
        super().pop(index)
        return found

    def __reduce_ex__(self, _: SupportsIndex) -> tuple[type, tuple[list[M]]]:
        return list, (self.copy(),)

    def _take(self, index: SupportsIndex, found: M) -> None:
        """Also remove the message from the original list, if the service has not changed this list since."""
        position = range(len(self))[index]
        if position < len(self._messages) and list.__getitem__(self._messages, position) is found:
            self._messages[position]

    def _headers_of(self, found: M) -> Headers | None:
        try:
            return self._headers(found)
        except (AttributeError, KeyError, TypeError, ValueError):  # an object that the service has added
            return None
