"""Recent calls between services, for requests of the API and for live events.

Invariant: Envoys report frequently only while a client is interested.
"""

import asyncio
import time
from typing import Final

from detour.server.events import Events, LiveEvent
from detour.traffic.calls import Seen
from detour.traffic.reports import Reports

_NEWS_SECONDS: Final = 1.0
"""Minimum interval between two events about calls."""


class WatchedCalls:
    """The calls that Envoys report.

    Args:
        reports: The reports of Envoys.
        events: Publishes that calls have changed.
    """

    def __init__(self, reports: Reports, events: Events) -> None:
        self._reports = reports
        self._events = events

    def recent(self) -> list[Seen]:
        """Return the recent calls, and make Envoys report frequently for a while."""
        self._reports.look()
        return self._reports.calls.recent(time.time())

    async def follow(self) -> None:
        """Publish an event when calls have changed, while there are subscribers, until cancelled."""
        sent: list[Seen] = []
        while True:
            await asyncio.sleep(_NEWS_SECONDS)
            if len(self._events) and (found := self.recent()) != sent:
                sent = found
                self._events.publish(LiveEvent("calls"))
