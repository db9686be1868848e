"""Calling on late: in what a framework runs behind the handler, and in work that goes on when the request is over.

A path names the way before the clients: `lazy body > requests/17`.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

from propagation.rows import VIA
from propagation.services import async_clients, sync_clients
from propagation.services.errands import errands

_LONG_SECONDS = 2
"""When a request is over, also on a busy machine."""


def split(clients: str) -> tuple[str, str]:
    """Return the way and the clients; no way where the handler calls on itself."""
    way, _, last = clients.rpartition(VIA)
    return way, last


def body(clients: str, number: str) -> Iterator[str]:
    """Call on while the response is being sent."""
    yield number
    sync_clients.call(clients, number)
    yield " is sent"


async def async_body(clients: str, number: str) -> AsyncIterator[bytes]:
    """The same, asynchronously."""
    yield number.encode()
    await async_clients.call(clients, number)
    yield b" is sent"


class ClosingBody:
    """A body that calls on when it is closed (PEP 3333).

    Args:
        clients: By which.
        number: The request's.
    """

    def __init__(self, clients: str, number: str) -> None:
        self._errand = clients, number

    def __iter__(self) -> Iterator[bytes]:
        yield b"sent"

    def close(self) -> None:
        """Call on."""
        sync_clients.call(*self._errand)


def outlive(clients: str, number: str) -> None:
    """Start work that calls on when the request is long over: in threads, or by a timer."""
    for client, own in errands(clients, number):
        if client == "timer":
            threading.Timer(_LONG_SECONDS, sync_clients.by_requests, [own]).start()
        elif client == "subclass of thread":
            _Refresher(own).start()
        else:
            threading.Thread(target=_later, args=(sync_clients.CLIENTS[client], own)).start()


def _later(call: Callable[[str], object], number: str) -> None:
    time.sleep(_LONG_SECONDS)
    call(number)


class _Refresher(threading.Thread):
    def __init__(self, number: str) -> None:
        super().__init__()
        self._number = number

    def run(self) -> None:
        _later(sync_clients.by_requests, self._number)


_tasks: set[asyncio.Task[None]] = set()


def outlive_async(clients: str, number: str) -> None:
    """The same in a task, or by an event loop's timer."""
    for client, own in errands(clients, number):
        if client == "call_later":
            asyncio.get_running_loop().call_later(_LONG_SECONDS, start, "httpx", own)
        else:
            start(client, own, _LONG_SECONDS)


def start(clients: str, number: str, seconds: float = 0) -> None:
    """Call on in a task."""

    async def call() -> None:
        await asyncio.sleep(seconds)
        await async_clients.call(clients, number)

    task = asyncio.ensure_future(call())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
