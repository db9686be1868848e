"""The only clock that expires things: deployments, scenarios and keys.

Invariant: expired things have no effect after about a second, even while a disk or a database does not answer,
because listeners never block.
"""

import asyncio
from collections.abc import Callable
from typing import Final

_TICK_SECONDS: Final = 1.0
"""Maximum delay of an expiry."""

Listener = Callable[[], None]


class ExpiryClock:
    """Calls its listeners once a second, in order.

    Args:
        listeners: Functions that look for expired things.
    """

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            for listener in self._listeners:
                listener()
