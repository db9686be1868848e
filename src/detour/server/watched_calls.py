"""Who called what lately, for those who ask and for those who listen.

Invariant: Envoys report often only while somebody looks.
"""

import asyncio
import time
from typing import Final

from detour.server.events import Event, Events
from detour.traffic.calls import Seen
from detour.traffic.reports import Reports

_NEWS_SECONDS: Final = 1.0
"""How often listeners may learn that other calls were seen."""


class WatchedCalls:
    """The calls that Envoys report.

    Args:
        reports: Where they arrive.
        events: Who listens.
    """

    def __init__(self, reports: Reports, events: Events) -> None:
        self._reports = reports
        self._events = events

    def recent(self) -> list[Seen]:
        """Return who called what lately, and have Envoys report often for a while."""
        self._reports.look()
        return self._reports.calls.recent(time.time())

    async def follow(self) -> None:
        """Send an event when calls have changed, as long as somebody listens, until cancelled."""
        sent: list[Seen] = []
        while True:
            await asyncio.sleep(_NEWS_SECONDS)
            if len(self._events) and (found := self.recent()) != sent:
                sent = found
                self._events.tell(Event("calls"))
