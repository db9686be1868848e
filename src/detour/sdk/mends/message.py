"""The context of a message that is being handled, where the library calls nobody: iterators, polls, lists.

A message's context is current from when it is taken until the same consumer takes the next one, or ends.

Invariant: what was current before comes back, whatever other people attached and detached in between; the state
is in the context itself, so a consumer may be used by several threads and tasks, and holds one message of each
consumer at most.
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
    """Make a message's context current, until the consumer's next one or `release`.

    Args:
        consumer: Who took it.
        headers: The message's.
        before: What was current before it was taken, if an instrumentation has changed that since.
    """
    release(consumer)
    held = _Held(id(consumer), get_current() if before is None else before, Scope(seen=True))
    attach(set_value(_HELD, held, context_of(headers, held.scope)))


def release(consumer: object) -> None:
    """End the context of the consumer's last message here; one that another consumer took since stays current."""
    current = get_current()
    without = _without(id(consumer), current)
    if without is not current:
        attach(without)


def _without(consumer: int, context: Context) -> Context:
    """Return the context as if the consumer had taken nothing; its message is handled."""
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
    """Keep what is current through the block, in which an instrumentation may end what it takes for its own."""
    current = get_current()
    try:
        yield
    finally:
        if get_current() is not current:
            attach(current)


def own_headers(headers: Any) -> Any:
    """Return a copy of headers, whatever they are made of; what is no container of them stays what it is."""
    return copy(headers) if isinstance(headers, list | dict) else headers


def with_own(
    name: str, position: int, args: Args, kwargs: Kwargs, own: Callable[[Any], Any] = own_headers
) -> tuple[Args, Kwargs]:
    """Return a call's arguments, with a copy of the one whose headers instrumentations write into.

    A service may give the same ones with each message: one request's overrides would go out with the next one's.

    Args:
        name: The argument's.
        position: Where it stands when it is given without its name.
        args: What the call is given.
        kwargs: The same, by name.
        own: Copies it.
    """
    if len(args) > position:
        return (*args[:position], own(args[position]), *args[position + 1 :]), kwargs
    return args, {**kwargs, name: own(kwargs[name])} if name in kwargs else kwargs


def with_carried(name: str, position: int, args: Args, kwargs: Kwargs, *, traced: bool) -> tuple[Args, Kwargs]:
    """Return a call's arguments with overrides in the list of a message's headers.

    Where OpenTelemetry traces the call it adds them, whatever is there; then the list is but a copy.
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
    """Goes through a consumer's messages; the last one's context ends with the loop, also where that is left early.

    Args:
        consumer: What gives the messages.
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
        if self._held is not None and get_value(_HELD) is self._held:  # else another loop has it
            release(self._consumer)


class Batch(list[M], Generic[M]):
    """Messages that came together: going through them makes each one's context current in turn.

    It is a list in everything else: the service may change it, and a copy of it is a plain one.

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
        """Take a message out; its context is current until the next one."""
        found = self[index]
        super().pop(index)
        return found

    def __reduce_ex__(self, _: SupportsIndex) -> tuple[type, tuple[list[M]]]:
        return list, (self.copy(),)

    def _take(self, index: SupportsIndex, found: M) -> None:
        """Have the list that they came in do what it does, where the service has not changed this one since."""
        position = range(len(self))[index]
        if position < len(self._messages) and list.__getitem__(self._messages, position) is found:
            self._messages[position]

    def _headers_of(self, found: M) -> Headers | None:
        try:
            return self._headers(found)
        except (AttributeError, KeyError, TypeError, ValueError):  # something that the service has put there
            return None
