"""gRPC's asyncio server, all four kinds of method."""

from propagation.services.setup import set_up

set_up()

import asyncio  # noqa: E402
import os  # noqa: E402
from collections.abc import AsyncIterator  # noqa: E402
from typing import Any  # noqa: E402

import grpc.aio  # noqa: E402
from google.protobuf.wrappers_pb2 import StringValue  # noqa: E402

from propagation.relay import handlers  # noqa: E402
from propagation.services import async_clients, late, sync_clients  # noqa: E402


async def unary(request: StringValue, context: Any) -> StringValue:
    """Call on, at once or late, and answer."""
    client, _, number = request.value.partition("/")
    way, client = late.split(client)
    if way == "callback":
        context.add_done_callback(lambda _: sync_clients.call(client, number))
    elif way == "outliving":
        late.outlive_async(client, number)
    else:
        await async_clients.call(client, number)
    return request


async def client_stream(requests: AsyncIterator[StringValue], context: Any) -> StringValue:
    """The same for each of a stream, with the last one's answer."""
    return [await unary(request, context) async for request in requests][-1]


async def server_stream(request: StringValue, context: Any) -> AsyncIterator[StringValue]:
    """The same, answered in a stream."""
    yield await unary(request, context)


async def bidi_stream(requests: AsyncIterator[StringValue], context: Any) -> AsyncIterator[StringValue]:
    """The same for each of a stream."""
    async for request in requests:
        yield await unary(request, context)


async def main() -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([handlers(unary, client_stream, server_stream, bidi_stream)])
    server.add_insecure_port(f"127.0.0.1:{os.environ['GRPC_PORT']}")
    await server.start()
    await server.wait_for_termination()


asyncio.run(main())
