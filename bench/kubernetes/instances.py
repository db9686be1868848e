"""Instances that the bench plays: HTTP servers at their own addresses that answer with their names."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from typing import Final

from bench.kubernetes.objects import PORT

_FIRST: Final = (10, 88, 128)
_LAST_OCTETS: Final = 250
_BACKLOG: Final = 512


def addresses() -> Iterator[str]:
    """Give addresses for instances, each another one, 32,000 of them."""
    first, second, third = _FIRST
    return (f"{first}.{second}.{third + n // _LAST_OCTETS}.{1 + n % _LAST_OCTETS}" for n in count())


class Instance:
    """An HTTP/1.1 server that answers every request with its name.

    Args:
        address: Where it listens, at the instances' port.
        name: What it says.
    """

    def __init__(self, address: str, name: str) -> None:
        self.address = address
        self.name = name
        self.requests = 0
        """How many it has been sent."""
        self.last_request = 0.0
        """When the last one came, by `time.monotonic`; 0 if none did."""
        self._first_answer: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> "Instance":
        """Listen; return itself."""
        self._server = await asyncio.start_server(self._serve, self.address, PORT, backlog=_BACKLOG)
        return self

    async def stop(self) -> None:
        """Listen no longer, and break connections off, as a process does that ends."""
        if self._server:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def first_answer(self, seconds: float) -> float:
        """Wait until it has answered once; return when, by `time.monotonic`.

        Raises:
            TimeoutError: It has not received a request within `seconds`.
        """
        async with asyncio.timeout(seconds):
            return await asyncio.shield(self._first_answer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                self.last_request = time.monotonic()
                self.requests += 1
                content = self.name.encode()
                writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(content)}\r\n\r\n".encode() + content)
                if not self._first_answer.done():
                    self._first_answer.set_result(time.monotonic())
        self._writers.discard(writer)
        writer.close()
