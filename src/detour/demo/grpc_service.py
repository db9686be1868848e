"""A gRPC service and its client, with grpcio's asyncio API.

Requests and responses are `google.protobuf.Struct` messages, so the service needs no generated code. This module
does not touch metadata. The client gets its sidecar from the environment (`http_proxy`) and opens a tunnel
(CONNECT).
"""

from functools import partial
from time import perf_counter
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from detour.demo.call_tree import Answer, Answerer, Call, Caller, elapsed_ms, from_json, to_json

_SERVICE, _METHOD = "detour.demo.Service", "Answer"
_TIMEOUT_SECONDS = 10
_SERVED_BY = "x-detour-served-by"


async def serve(answer: Answerer, port: int) -> None:
    """Serve on a loopback port until cancelled."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([_handler(answer)])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


def _handler(answer: Answerer) -> grpc.GenericRpcHandler:
    async def respond(_: Struct, __: grpc.aio.ServicerContext[Struct, Struct]) -> Struct:
        response = Struct()
        response.update(to_json(await answer()))
        return response

    method = grpc.unary_unary_rpc_method_handler(
        respond, request_deserializer=Struct.FromString, response_serializer=Struct.SerializeToString
    )
    return grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: method})


def channel(target: str) -> grpc.aio.Channel:
    """Return a channel whose calls carry the baggage of the current request."""
    return grpc.aio.insecure_channel(target)


def caller(connection: grpc.aio.Channel, to: str) -> Caller:
    """Return a caller of the service `to` at the other end of the channel."""
    method = connection.unary_unary(
        f"/{_SERVICE}/{_METHOD}",
        request_serializer=Struct.SerializeToString,
        response_deserializer=Struct.FromString,
    )
    return partial(_call, method, to)


async def _call(method: "grpc.aio.UnaryUnaryMultiCallable[Struct, Struct]", to: str) -> Call:
    start = perf_counter()
    pending = method(Struct(), timeout=_TIMEOUT_SECONDS)
    try:
        answer, problem = _read(await pending)
    except grpc.aio.AioRpcError as error:
        served_by = _served_by(error.initial_metadata(), error.trailing_metadata())
        return Call(to, error.code().name, served_by, elapsed_ms(start), (error.details() or "").strip())
    served_by = _served_by(await pending.initial_metadata())
    return Call(to, "OK", served_by, elapsed_ms(start), problem, answer)


def _read(response: Struct) -> tuple[Answer | None, str]:
    try:
        return from_json(MessageToDict(response)), ""
    except ValueError as error:
        return None, str(error)


def _served_by(*metadata: Any) -> str:
    """Return the sidecar's `x-detour-served-by`; in a trailers-only error it is in the trailers."""
    found = (value for one in metadata for key, value in one or () if key == _SERVED_BY)
    return str(next(found, ""))
