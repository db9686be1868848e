"""Requests through a sidecar, cheap enough that hundreds a second leave the machine to what is measured."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from bench.mesh import override

_ANSWER_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Args:
        asked: When the request was sent, by `time.monotonic`.
        answered: When the answer was there.
        status: The HTTP status; 0 where the connection broke.
        body: Who answered, if the status is 200.
    """

    asked: float
    answered: float
    status: int
    body: str


class Asking:
    """One keep-alive connection to a sidecar's way out.

    Args:
        port: The sidecar's, on loopback.
        service: Which service is called.
        deployment: Which deployment of it the requests are overridden to; none if it is empty.
    """

    def __init__(self, port: int, service: str, deployment: str = "") -> None:
        baggage = f"baggage: {override(service, deployment)}\r\n" if deployment else ""
        self._port = port
        self._request = f"GET / HTTP/1.1\r\nhost: {service}\r\n{baggage}\r\n".encode()
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> Answer:
        """Send one request, on another connection if the one before has ended."""
        asked = time.monotonic()
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                status, body = await self._answer()
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            self.close()
            status, body = 0, str(error) or type(error).__name__
        return Answer(asked, time.monotonic(), status, body)

    def close(self) -> None:
        """Let go of the connection."""
        if self._stream:
            self._stream[1].close()
        self._stream = None

    async def _answer(self) -> tuple[int, str]:
        self._stream = self._stream or await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._stream
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        body = await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0))
        return int(head[9:12]), body.decode(errors="replace")


@asynccontextmanager
async def load(connections: list[Asking], per_second: float, hear: Callable[[Answer], None]) -> AsyncIterator[None]:
    """Send requests at a constant rate within the context, and call `hear` with each answer.

    Slow answers lower the rate; later requests do not catch up.
    """
    interval = len(connections) / per_second
    tasks = [
        asyncio.create_task(_paced(one, interval, number / per_second, hear))
        for number, one in enumerate(connections)
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in connections:
            one.close()


async def _paced(connection: Asking, interval: float, first: float, hear: Callable[[Answer], None]) -> None:
    due = time.monotonic() + first
    while True:
        await asyncio.sleep(due - time.monotonic())
        hear(await connection.ask())
        due = max(due + interval, time.monotonic())
