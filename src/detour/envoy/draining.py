"""Letting an Envoy finish what it has accepted before it ends.

Invariant: from the first moment on no new connection begins, and it asks clients that keep theirs to leave
(`Connection: close`, GOAWAY). It never takes longer than it may.
"""

import asyncio
from typing import Final

from detour.envoy.asking import Admin
from detour.envoy.listening import take_no_more

_POLL_SECONDS: Final = 0.05
_QUIET_SECONDS: Final = 1
"""How long connections without a request are waited for: a client may be about to send on one."""

_QUEUE_SECONDS: Final = 2
"""The longest to wait for connections that Envoy has not accepted yet."""

_COUNTED: Final = "downstream_(rq_active|cx_active|cx_tx_bytes_buffered)$"


async def drain(admin: Admin, pid: int, seconds: float) -> int:
    """Take no more connections, and wait for the requests that are in flight.

    Args:
        admin: Of the Envoy.
        pid: Its process.
        seconds: The longest to wait.

    Returns:
        How many requests are left; 0 if the Envoy has ended meanwhile.
    """
    in_flight = 0
    try:
        async with asyncio.timeout(seconds):
            # First so that no answer is sent between the two without asking its client to leave.
            await admin.ask("/drain_listeners?graceful&skip_exit", "POST")
            await take_no_more(pid, _QUEUE_SECONDS)
            await admin.ask("/drain_listeners", "POST")
            idle_since: float | None = None
            while True:
                in_flight, connections, waiting = _counts(await admin.stats(_COUNTED))
                now = asyncio.get_running_loop().time()
                idle_since = None if in_flight or waiting else idle_since or now
                if idle_since is not None and (not connections or now - idle_since >= _QUIET_SECONDS):
                    return 0
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        return in_flight
    except OSError:
        return 0


def _counts(stats: dict[str, int]) -> tuple[int, int, int]:
    """Return requests in flight, open connections, and bytes that clients have not taken yet.

    A connection that is no HTTP (`tcp.`) is in flight for as long as it is open.
    """
    requests = connections = waiting = 0
    for name, value in stats.items():
        kind, _, rest = name.partition(".")
        if kind not in {"http", "tcp"} or rest.startswith("admin"):
            continue
        if rest.endswith("cx_tx_bytes_buffered"):
            waiting += value
        elif rest.endswith("rq_active") or kind == "tcp":
            requests += value
        else:
            connections += value
    return requests, connections, waiting
