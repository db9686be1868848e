"""HTTP/1 byte by byte: an application that keeps what reaches it, and a client that sends what it is given.

For tests that compare a request straight to an application with the same request through Envoy.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from detour.mesh import Endpoint

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_LIMIT = 2**24

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Application:
    """An HTTP/1 application that answers every request with the same bytes.

    Args:
        reply: The bytes.
        served: The requests that reached it, whole, in the order in which they came.
    """

    reply: bytes = OK
    served: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with suppress(asyncio.IncompleteReadError):
            while True:
                request = await read_request(reader)
                self.served.append(request)
                writer.write(self.reply)
                await writer.drain()
                if self.reply.startswith(b"HTTP/1.1 101 "):
                    await _echo(reader, writer)
                if b"connection: close" in self.reply.lower():
                    return


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read a request with its body.

    Raises:
        asyncio.IncompleteReadError: The connection ended before.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    if re.search(rb"\r\ntransfer-encoding:[^\r]*chunked", head, re.IGNORECASE):
        return head + await _chunks(reader)
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        body += line
        if not (size := int(line.partition(b";")[0], 16)):
            break
        body += await reader.readexactly(size + 2)
    while line != b"\r\n":  # trailers
        line = await reader.readuntil(b"\r\n")
        body += line
    return body


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(65536):
        writer.write(part)
        await writer.drain()


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[Endpoint]:
    """Run a server that serves each connection so, and closes it then."""
    tasks: set[asyncio.Task] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            # Cancelled at the end; a task that says so is an error to the streams of Python 3.11.
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(run, "127.0.0.1", 0, limit=_LIMIT, backlog=4096)
    try:
        yield Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to a port of 127.0.0.1."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_LIMIT)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def exchange(port: int, request: bytes, end: bytes, times: int = 1) -> bytes:
    """Send bytes on a new connection; return what comes back until so many `end`s, or until it is closed."""
    answer = b""
    async with connected(port) as (reader, writer):
        writer.write(request)
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(10):
                while answer.count(end) < times and (part := await reader.read(65536)):
                    answer += part
    return answer
