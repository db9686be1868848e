"""The gRPC service `detour.test.Relay`: all four kinds of method, each of `google.protobuf.StringValue`."""

from typing import Any, Final

import grpc
from google.protobuf.wrappers_pb2 import StringValue

SERVICE: Final = "detour.test.Relay"
KINDS: Final = {
    "grpc-unary": "Unary",
    "grpc-client-stream": "ClientStream",
    "grpc-server-stream": "ServerStream",
    "grpc-bidi-stream": "BidiStream",
}
"""Each client's name, and the method that it calls."""

_CODEC: Final = {
    "request_deserializer": StringValue.FromString,
    "response_serializer": StringValue.SerializeToString,
}
_CALLING: Final = {
    "request_serializer": StringValue.SerializeToString,
    "response_deserializer": StringValue.FromString,
}


def handlers(unary: Any, client_stream: Any, server_stream: Any, bidi_stream: Any) -> grpc.GenericRpcHandler:
    """Return what serves the four methods by these functions."""
    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "Unary": grpc.unary_unary_rpc_method_handler(unary, **_CODEC),
            "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream, **_CODEC),
            "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream, **_CODEC),
            "BidiStream": grpc.stream_stream_rpc_method_handler(bidi_stream, **_CODEC),
        },
    )


def calls(channel: Any) -> dict[str, Any]:
    """Return what calls each method, by the client's name; channels of `grpc` and `grpc.aio` alike."""
    made = {
        "grpc-unary": channel.unary_unary,
        "grpc-client-stream": channel.stream_unary,
        "grpc-server-stream": channel.unary_stream,
        "grpc-bidi-stream": channel.stream_stream,
    }
    return {name: make(f"/{SERVICE}/{KINDS[name]}", **_CALLING) for name, make in made.items()}
