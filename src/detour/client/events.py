"""Live events, and their stream format (HTML, section 9.2, "Server-sent events"). No I/O."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from detour.client.errors import UnexpectedAnswerError

CONNECTED: Final = "connected"
"""The kind of the event that begins every connection: data that was fetched before may be outdated."""

RECONNECTING_SECONDS: Final = 30.0
"""Time during which a client tries to reconnect to a server that it was connected to."""

PAUSE_SECONDS: Final = 0.5
"""Pause between the end of a connection and the next one."""

SILENCE_SECONDS: Final = 45.0
"""Time after which a silent connection counts as dead: a server sends something every 15 seconds."""


@dataclass(frozen=True, slots=True)
class Event:
    """A change.

    Args:
        kind: An `EventKind`, or `CONNECTED`; a newer server may have more kinds.
        subject: The name of the thing that changed (`checkout-redesign`, `users@pr-42`); "" if it has none.
    """

    kind: str
    subject: str = ""


class Streaming:
    """One iteration over events, across reconnections.

    Args:
        now: The time in seconds; every method must use the same clock.
        seconds: How long the iteration lasts; None for no limit.
    """

    def __init__(self, now: float, seconds: int | None) -> None:
        self._end = None if seconds is None else now + seconds
        self._was_connected = False
        self._lost_at: float | None = None
        self._kind = ""
        self._data: list[str] = []

    def left(self, now: float) -> int | None:
        """Return how many whole seconds are left; None without a limit."""
        return None if self._end is None else max(0, math.ceil(self._end - now))

    def connected(self) -> Event:
        """Begin a connection; return its first event."""
        self._was_connected, self._lost_at = True, None
        self._kind, self._data = "", []
        return Event(CONNECTED)

    def is_lost(self, now: float) -> bool:
        """Record that the connection is lost; return whether to give up."""
        self._lost_at = self._lost_at or now
        return not self._was_connected or now - self._lost_at > RECONNECTING_SECONDS

    def take(self, line: str) -> Iterator[Event]:
        """Yield the event that a line completes, if any.

        Raises:
            UnexpectedAnswerError: The event does not fit the API.
        """
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
        elif not line and self._data:
            yield Event(self._kind, _subject("\n".join(self._data)))
            self._kind, self._data = "", []


def _subject(data: str) -> str:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    subject = found.get("subject", "") if isinstance(found, dict) else None
    if not isinstance(subject, str):
        raise UnexpectedAnswerError(
            f"expected an event with a subject, got {data[:100]!r}: is that a Detour server?"
        )
    return subject
