"""The requests in flight that have a log level of their own.

Each is an object in its context. It ends with the scope of its request, or earlier, when the context is freed
because nothing runs in it any longer.
"""

import os
import sys
import threading
from collections.abc import Callable
from typing import Final
from weakref import ref

from opentelemetry.context import Context, create_key, get_value, set_value

from detour.sdk.scope import Scope, scope_of

NONE: Final = sys.maxsize
"""The level of a request without one of its own: no additional log calls pass."""

_KEY: Final = create_key("detour-log-level")


class Flight:
    """A request with a log level of its own; it lives as long as a context refers to it.

    Args:
        level: The level.
        scope: How long the level applies; None for as long as the object lives.
    """

    __slots__ = ("__weakref__", "level", "scope")

    def __init__(self, level: int, scope: Scope | None) -> None:
        self.level = level
        self.scope = scope


class _Flights:
    """The live flights, and the switches to set while there are any.

    Each change of the set is followed by `_settle`, so the last call of it sees the last change. The garbage
    collector may end a flight at any line, even in a thread that is in `_settle`. Changes of the set are therefore
    atomic, and the lock is reentrant.
    """

    def __init__(self) -> None:
        self.alive: set[ref[Flight]] = set()
        self.switches: list[Callable[[bool], None]] = []
        self.lock = threading.RLock()
        self._on = False

    def begin(self, level: int, scope: Scope | None) -> Flight:
        flight = Flight(level, scope)
        self.alive.add(ref(flight, self.end))
        self._settle()
        return flight

    def end(self, flight: ref[Flight]) -> None:
        self.alive.discard(flight)
        self._settle()

    def _settle(self) -> None:
        with self.lock:
            while self._on != bool(self.alive):
                self._on = not self._on
                for switch in self.switches:
                    switch(self._on)

    def forked(self) -> None:
        """Create a new lock in the child process: a thread that only the parent has may hold the old one."""
        self.lock = threading.RLock()


_flights = _Flights()

if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_flights.forked)


def on_change(switch: Callable[[bool], None]) -> None:
    """Register a function that is called with True before the first flight and with False after the last one.

    It must not log or wait for a lock: it may run wherever the garbage collector runs.
    """
    _flights.switches.append(switch)


def any_alive() -> bool:
    """Whether there are any live flights."""
    return bool(_flights.alive)


def marked(context: Context, level: int | None) -> Context:
    """Return the context with a level; None for no level."""
    before = get_value(_KEY, context)
    scope = scope_of(context)
    if isinstance(before, Flight) and before.level == level and before.scope is scope:
        return context
    if level is None:
        return context if before is None else set_value(_KEY, None, context)
    return set_value(_KEY, _flights.begin(level, scope), context)


def level() -> int:
    """Return the log level of the current request."""
    flight = get_value(_KEY)
    if not isinstance(flight, Flight):
        return NONE
    if flight.scope is not None and flight.scope.over():  # otherwise a flight that leaks would slow down all others
        if flight.scope.completed:
            _flights.end(ref(flight))
        return NONE
    return flight.level
