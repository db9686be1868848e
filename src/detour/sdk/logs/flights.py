"""The requests in flight that have a log level of their own.

Each is an object in its context. It ends with the scope of its request, or earlier, when the context is freed and
nothing runs under it any more.
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
"""The level of a request that has none of its own: nothing is logged because of it."""

_KEY: Final = create_key("detour-log-level")


class Flight:
    """A request with a level of its own, alive as long as any context holds it.

    Args:
        level: The level.
        scope: How long it counts; None if for as long as it is alive.
    """

    __slots__ = ("__weakref__", "level", "scope")

    def __init__(self, level: int, scope: Scope | None) -> None:
        self.level = level
        self.scope = scope


class _Flights:
    """Those that are alive, and what is switched on while there are any.

    Whoever changes the set settles behind it, so the last one to settle sees the last change. A flight may end at
    any line, by the garbage collector, in a thread that is settling: the set changes atomically, and the lock can
    be taken again.
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
        """Have a lock of the child's own: of its parent's threads only one lives on."""
        self.lock = threading.RLock()


_flights = _Flights()

if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_flights.forked)


def on_change(switch: Callable[[bool], None]) -> None:
    """Have a function called with True before the first of them, and with False behind the last.

    It must not log, and must not wait for a lock: it may run wherever the garbage collector does.
    """
    _flights.switches.append(switch)


def any_alive() -> bool:
    """Whether there are any."""
    return bool(_flights.alive)


def marked(context: Context, level: int | None) -> Context:
    """Return the context with a level; None is none."""
    before = get_value(_KEY, context)
    scope = scope_of(context)
    if isinstance(before, Flight) and before.level == level and before.scope is scope:
        return context
    if level is None:
        return context if before is None else set_value(_KEY, None, context)
    return set_value(_KEY, _flights.begin(level, scope), context)


def level() -> int:
    """Return the level of the request that is being served."""
    flight = get_value(_KEY)
    if not isinstance(flight, Flight):
        return NONE
    if flight.scope is not None and flight.scope.over():  # else one that is carried on would slow down all others
        if flight.scope.completed:
            _flights.end(ref(flight))
        return NONE
    return flight.level
