"""Live events for listeners: the source of the API's event streams.

Invariant: a slow listener delays no other. One that does not keep up gets, instead of what it has missed, one event
of each kind: events say that something changed, and the API says what it is.
"""

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from detour.mesh import touched
from detour.server.mesh_in_force import MeshChange

_WAITING_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Event:
    """Something that changed.

    Args:
        kind: `scenario`, `deployment`, `token`, `key`, `overrides`, `mesh`, `envoys` or `calls`.
        subject: Which one, where there is one: `checkout-redesign`, `users@pr-42`.
    """

    kind: str
    subject: str = ""


class Events:
    """All who listen."""

    def __init__(self) -> None:
        self._listening: set[Listening] = set()
        self.closed = asyncio.Event()
        """Set when the server ends: who listens is to stop, and may begin again at another."""

    def __len__(self) -> int:
        return len(self._listening)

    def tell(self, event: Event) -> None:
        """Tell everybody of an event."""
        for one in self._listening:
            one.take(event)

    def take_mesh(self, change: MeshChange) -> None:
        """Tell everybody which services of the mesh have changed, and of new problems."""
        if change.has_new_problems:
            self.tell(Event("mesh"))
        for service in sorted(touched(change.events)):
            self.tell(Event("mesh", service))

    def close(self) -> None:
        """Have everybody stop to listen."""
        self.closed.set()
        for one in self._listening:
            one.wake()

    @contextmanager
    def listening(self) -> Iterator["Listening"]:
        """Listen until the context is left."""
        made = Listening()
        self._listening.add(made)
        try:
            yield made
        finally:
            self._listening.discard(made)


class Listening:
    """One who listens."""

    def __init__(self) -> None:
        self._waiting: dict[Event, None] = {}
        self._has_some = asyncio.Event()

    def take(self, event: Event) -> None:
        """Keep an event until it is fetched; one that waits already is not kept twice."""
        if len(self._waiting) >= _WAITING_MAX:
            kinds = {one.kind for one in self._waiting} | {event.kind}
            self._waiting = dict.fromkeys(Event(kind) for kind in sorted(kinds))
        else:
            self._waiting[event] = None
        self.wake()

    def wake(self) -> None:
        """Have `next` return, with or without an event."""
        self._has_some.set()

    async def next(self, seconds: float) -> Collection[Event]:
        """Wait for events, so long at most; return those that came since the last call."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._has_some.wait()
        waiting, self._waiting = self._waiting, {}
        self._has_some.clear()
        return waiting.keys()
