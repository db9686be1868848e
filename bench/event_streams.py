"""Memory of a server with a thousand clients of the event stream; all of them receive every change."""

import asyncio
import resource
from typing import Final

from bench.machine import memory
from bench.mesh import bench_mesh
from bench.options import Options
from bench.report import Row
from bench.server import Server

_STREAMS: Final = 1_000
_AT_ONCE: Final = 50
_HEARD_SECONDS: Final = 60
_FILES: Final = 4_096


async def measure(options: Options) -> list[Row]:
    """Return the server's memory in MB, once every stream has brought a change."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, _FILES), hard), hard))
    streams = options.times(_STREAMS, 50)
    async with bench_mesh() as mesh:
        server = await mesh.server()
        empty = memory(server.pid)
        listening = [
            stream
            for first in range(0, streams, _AT_ONCE)
            for stream in await asyncio.gather(
                *(_open(server) for _ in range(first, min(first + _AT_ONCE, streams)))
            )
        ]
        await server.save("checkout", route_users="pr-42")
        async with asyncio.timeout(_HEARD_SECONDS):
            await asyncio.gather(*(reader.readuntil(b"event: scenario\n") for reader, _ in listening))
        full = memory(server.pid)
        for _, writer in listening:
            writer.close()
    what = f"memory of the server, {streams:,} open event streams that have sent a change"
    more = {"PSS": full["pss"], "RSS before the first stream": empty["rss"]}
    return [Row(what, full["rss"], "MB", 300, more)]


async def _open(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    url = server.api.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(f"GET /v1/events HTTP/1.1\r\nHost: {url.host}\r\n\r\n".encode())
    await writer.drain()
    await reader.readuntil(b": connected\n\n")
    return reader, writer
