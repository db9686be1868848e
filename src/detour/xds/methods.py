"""gRPC methods that accept arbitrary bytes: unreadable messages and unsupported methods are answered with a status.

Invariant: a thin adapter. A handler is a coroutine, so it ends when its stream ends, for whatever reason, and so do
the tasks that it started.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, NoReturn, Self, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from grpc._cython.cygrpc import InternalError

DELTA_ADS_ONLY: Final = (
    "this server supports delta ADS only (envoy.service.discovery.v3.AggregatedDiscoveryService, method "
    "DeltaAggregatedResources): in Envoy's ads_config set api_type to DELTA_GRPC; see docs/xds.md of Detour"
)

_XDS: Final = ("/envoy.service.", "/envoy.api.v2.")

Read = TypeVar("Read", bound=Message)
Context: TypeAlias = grpc.aio.ServicerContext


class UnusableError(ValueError):
    """A client sent an unusable message. The text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class _Unreadable:
    why: str


class Messages(Generic[Read]):
    """The messages of a client, one by one, until the client ends the stream or disconnects.

    This is not an async generator: an abandoned generator has to be closed by a task that nothing awaits.

    Args:
        context: The stream.
        check: Called with each message; raises `UnusableError` for an invalid one.
    """

    def __init__(self, context: Context, check: Callable[[Read], None]) -> None:
        self._context = context
        self._check = check

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Read:
        try:
            message = await self._context.read()
        except InternalError:
            message = grpc.aio.EOF
        if message is grpc.aio.EOF:
            raise StopAsyncIteration
        if isinstance(message, _Unreadable):
            raise UnusableError(message.why)
        self._check(message)
        read: Read = message
        return read


Handler = Callable[[Messages[Read], Context], Awaitable[Message | None]]


def stream_stream(
    kind: type[Read], handler: Handler[Read], check: Callable[[Read], None] = lambda _: None
) -> grpc.RpcMethodHandler:
    """Return a method that reads messages of one type, and whose handler writes responses to the context."""
    return grpc.stream_stream_rpc_method_handler(_method(handler, check), _reader(kind), _written)


def stream_unary(
    kind: type[Read], handler: Handler[Read], check: Callable[[Read], None] = lambda _: None
) -> grpc.RpcMethodHandler:
    """Return a method that reads messages of one type and returns a single response."""
    return grpc.stream_unary_rpc_method_handler(_method(handler, check), _reader(kind), _written)


async def refuse(context: Context, code: grpc.StatusCode, why: str) -> NoReturn:
    """End a stream with a status."""
    await context.abort(code, why)
    raise AssertionError("abort raises")


async def write(context: Context, message: Message) -> None:
    """Send a message, once the client has room for it.

    Raises:
        asyncio.CancelledError: The client disconnected.
    """
    try:
        await context.write(message)
    except InternalError as error:
        raise asyncio.CancelledError from error


class UnsupportedMethods(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers unsupported xDS methods (state of the world, services for a single type) with `UNIMPLEMENTED`."""

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return the handler of a method; None if the method does not belong to xDS."""
        return grpc.stream_stream_rpc_method_handler(_unimplemented) if call.method.startswith(_XDS) else None


async def _unimplemented(_requests: AsyncIterator[bytes], context: Context) -> None:
    await refuse(context, grpc.StatusCode.UNIMPLEMENTED, DELTA_ADS_ONLY)


def _method(handler: Handler[Read], check: Callable[[Read], None]) -> Callable[..., Awaitable[Message | None]]:
    async def method(_requests: AsyncIterator[object], context: Context) -> Message | None:
        try:
            return await handler(Messages(context, check), context)
        except UnusableError as error:
            await refuse(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))

    return method


def _reader(kind: type[Read]) -> Callable[[bytes], Read | _Unreadable]:
    def read(content: bytes) -> Read | _Unreadable:
        try:
            return kind.FromString(content)
        except DecodeError as error:
            return _Unreadable(f"this is not a valid {kind.DESCRIPTOR.full_name}: {' '.join(str(error).split())}")

    return read


def _written(message: Message) -> bytes:
    return message.SerializeToString()
