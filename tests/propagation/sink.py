"""Where services call on to: notes the baggage that arrives with each request."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
from aiohttp import web

from propagation.relay import handlers


@dataclass
class Sink:
    """What arrived.

    Args:
        http: Its URL.
        grpc: Its address for gRPC, `ip:port`.
        seen: The baggage headers of each request by number; "" for one without.
    """

    http: str
    grpc: str
    seen: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def note(self, number: str, lines: list[str]) -> None:
        """Note a request."""
        self.seen[number].append(",".join(lines))


@asynccontextmanager
async def running_sink() -> AsyncIterator[Sink]:
    """Serve HTTP and gRPC on free loopback ports."""
    sink = Sink("", "")

    async def get(request: web.Request) -> web.Response:
        sink.note(request.path.removeprefix("/"), request.headers.getall("baggage", []))
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_get("/{number}", get)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    sink.http = f"http://127.0.0.1:{runner.addresses[0][1]}"
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([_handlers(sink)])
    sink.grpc = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield sink
    finally:
        await server.stop(None)
        await runner.cleanup()


def _handlers(sink: Sink) -> grpc.GenericRpcHandler:
    async def unary(request: Any, context: Any) -> Any:
        lines = [value for key, value in context.invocation_metadata() if key == "baggage"]
        sink.note(request.value, lines)
        return request

    async def client_stream(requests: AsyncIterator[Any], context: Any) -> Any:
        return [await unary(request, context) async for request in requests][-1]

    async def server_stream(request: Any, context: Any) -> AsyncIterator[Any]:
        yield await unary(request, context)

    async def bidi_stream(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            yield await unary(request, context)

    return handlers(unary, client_stream, server_stream, bidi_stream)
