"""Drains an Envoy: it finishes the requests that it has accepted before it stops.

Invariant: from the first moment Envoy accepts no new connections, and asks clients to close theirs (`Connection:
close`, GOAWAY). Draining never exceeds its time limit.
"""

import asyncio
from typing import Final

from detour.envoy.admin_client import Admin
from detour.envoy.listening import take_no_more

_POLL_SECONDS: Final = 0.05
_QUIET_SECONDS: Final = 1
"""How long idle connections are kept: a client may be about to send a request on one."""

_QUEUE_SECONDS: Final = 2
"""Maximum wait for connections that Envoy has not accepted yet."""

_COUNTED: Final = "downstream_(rq_active|cx_active|cx_tx_bytes_buffered)$"


async def drain(admin: Admin, pid: int, seconds: float) -> int:
    """Stop accepting connections, and wait for the requests in flight.

    Args:
        admin: The Envoy's admin interface.
        pid: Its process id.
        seconds: Maximum wait.

    Returns:
        The number of requests still in flight; 0 if Envoy has exited.
    """
    in_flight = 0
    try:
        async with asyncio.timeout(seconds):
            # First, so that every response sent from here on asks its client to close the connection.
            await admin.request("/drain_listeners?graceful&skip_exit", "POST")
            await take_no_more(pid, _QUEUE_SECONDS)
            await admin.request("/drain_listeners", "POST")
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
    """Return requests in flight, open connections, and bytes that clients have not read yet.

    A connection that is not HTTP (`tcp.`) counts as in flight for as long as it is open.
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
