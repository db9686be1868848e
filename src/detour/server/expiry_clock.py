"""The one clock that ends what has a time to end: deployments, scenarios, keys.

Invariant: what has expired is out of force within about a second, also while a disk or a database does not answer:
listeners return at once.
"""

import asyncio
from collections.abc import Callable
from typing import Final

_TICK_SECONDS: Final = 1.0
"""How late something that has expired may end."""

Listener = Callable[[], None]


class ExpiryClock:
    """Calls its listeners once a second, in order.

    Args:
        listeners: What looks for something that has expired.
    """

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            for listener in self._listeners:
                listener()
