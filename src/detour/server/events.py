"""Live events: the source of the API's event streams.

Invariant: a slow subscriber does not delay others. A subscriber that falls behind receives one event of each kind
instead of the events that it missed: events only say that something changed, and the API has the new state.
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
class LiveEvent:
    """A change.

    Args:
        kind: `scenario`, `deployment`, `token`, `key`, `overrides`, `mesh`, `envoys` or `calls`.
        subject: The name of the thing that changed (`checkout-redesign`, `users@pr-42`); "" if it has none.
    """

    kind: str
    subject: str = ""


class Events:
    """Publishes events to all subscribers."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self.closed = asyncio.Event()
        """Set when the server shuts down: subscribers must stop, and may reconnect to another server."""

    def __len__(self) -> int:
        return len(self._subscriptions)

    def publish(self, event: LiveEvent) -> None:
        """Send an event to all subscribers."""
        for one in self._subscriptions:
            one.add(event)

    def publish_mesh_change(self, change: MeshChange) -> None:
        """Send an event for each service that has changed, and one for new problems."""
        if change.has_new_problems:
            self.publish(LiveEvent("mesh"))
        for service in sorted(touched(change.events)):
            self.publish(LiveEvent("mesh", service))

    def close(self) -> None:
        """End all subscriptions."""
        self.closed.set()
        for one in self._subscriptions:
            one.wake()

    @contextmanager
    def subscribed(self) -> Iterator["Subscription"]:
        """Subscribe until the context ends."""
        made = Subscription()
        self._subscriptions.add(made)
        try:
            yield made
        finally:
            self._subscriptions.discard(made)


class Subscription:
    """The events that one subscriber has not received yet."""

    def __init__(self) -> None:
        self._waiting: dict[LiveEvent, None] = {}
        self._woken = asyncio.Event()

    def add(self, event: LiveEvent) -> None:
        """Queue an event; an equal one in the queue replaces it."""
        if len(self._waiting) >= _WAITING_MAX:
            kinds = {one.kind for one in self._waiting} | {event.kind}
            self._waiting = dict.fromkeys(LiveEvent(kind) for kind in sorted(kinds))
        else:
            self._waiting[event] = None
        self.wake()

    def wake(self) -> None:
        """Make `next` return, with or without an event."""
        self._woken.set()

    async def next(self, seconds: float) -> Collection[LiveEvent]:
        """Wait for events, at most `seconds`; return those since the last call."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        waiting, self._waiting = self._waiting, {}
        self._woken.clear()
        return waiting.keys()
