"""gRPC's threaded server, all four kinds of method."""

from propagation.services.setup import set_up

set_up()

import os  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from concurrent.futures import ThreadPoolExecutor  # noqa: E402
from typing import Any  # noqa: E402

import grpc  # noqa: E402
from google.protobuf.wrappers_pb2 import StringValue  # noqa: E402

from propagation.relay import handlers  # noqa: E402
from propagation.services import late, sync_clients  # noqa: E402


def unary(request: StringValue, context: Any) -> StringValue:
    """Call on, at once or late, and answer."""
    client, _, number = request.value.partition("/")
    way, client = late.split(client)
    if way == "callback":
        context.add_callback(lambda: sync_clients.call(client, number))
    elif way == "outliving":
        late.outlive(client, number)
    else:
        sync_clients.call(client, number)
    return request


def client_stream(requests: Iterator[StringValue], context: Any) -> StringValue:
    """The same for each of a stream, with the last one's answer."""
    return [unary(request, context) for request in requests][-1]


def server_stream(request: StringValue, context: Any) -> Iterator[StringValue]:
    """The same, answered in a stream."""
    yield unary(request, context)


def bidi_stream(requests: Iterator[StringValue], context: Any) -> Iterator[StringValue]:
    """The same for each of a stream."""
    for request in requests:
        yield unary(request, context)


server = grpc.server(ThreadPoolExecutor(64))
server.add_generic_rpc_handlers([handlers(unary, client_stream, server_stream, bidi_stream)])
server.add_insecure_port(f"127.0.0.1:{os.environ['GRPC_PORT']}")
server.start()
server.wait_for_termination()
