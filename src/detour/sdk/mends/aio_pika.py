"""aio-pika: OpenTelemetry's instrumentation covers callbacks, but not messages that are pulled from a queue."""

from collections.abc import Awaitable, Callable
from copy import copy
from functools import wraps
from inspect import isawaitable
from types import ModuleType
from typing import Any, Final

from aio_pika import Message
from wrapt import wrap_function_wrapper

from detour.sdk.carriage import Headers, carried, texts, under_carried
from detour.sdk.mends.message import Taking, hold, own_headers, release, with_own

_CARRYING: Final = "_detour_carrying"


def mend(module: ModuleType) -> None:
    """Handle each message of an iterator, and of `get`, with its own overrides."""
    for name in ("queue.QueueIterator", "robust_queue.RobustQueueIterator"):  # each has its own methods
        wrap_function_wrapper(module, f"{name}.__anext__", _take)
    wrap_function_wrapper(module, "queue.QueueIterator.close", _close)
    for name in ("queue.QueueIterator", "queue.Queue"):
        wrap_function_wrapper(module, f"{name}.__aiter__", _iterate)
    wrap_function_wrapper(module, "exchange.Exchange.publish", _publish)
    wrap_function_wrapper(module, "queue.Queue.get", _take)
    for name in ("queue.Queue.consume", "robust_queue.RobustQueue.consume"):
        wrap_function_wrapper(module, name, _consume)


async def _publish(
    wrapped: Callable[..., Awaitable[Any]], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    args, kwargs = with_own("message", 0, args, kwargs, _own)
    return await wrapped(*args, **kwargs)


def _own(message: Any) -> Any:
    if type(message) is not Message:  # copying a subclass would lose its type
        return message
    own = copy(message)
    own.headers = {**(own_headers(message.headers) or {}), **carried()}
    return own


async def _consume(
    wrapped: Callable[..., Awaitable[Any]], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    args, kwargs = with_own("callback", 0, args, kwargs, _carrying)
    return await wrapped(*args, **kwargs)


def _carrying(callback: Any) -> Any:
    """Return a callback that runs with each message's overrides."""
    if not callable(callback) or hasattr(callback, _CARRYING):
        return callback

    @wraps(callback)
    async def carrying(message: Any) -> Any:
        with under_carried(_headers(message)):
            result = callback(message)
            return await result if isawaitable(result) else result

    setattr(carrying, _CARRYING, True)
    return carrying


def _iterate(wrapped: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return Taking(wrapped(*args, **kwargs))


async def _take(
    wrapped: Callable[..., Awaitable[Any]], queue: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    release(queue)
    message = await wrapped(*args, **kwargs)
    if message is not None:
        hold(queue, _headers(message))
    return message


async def _close(
    wrapped: Callable[..., Awaitable[Any]], queue: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    release(queue)
    return await wrapped(*args, **kwargs)


def _headers(message: Any) -> Headers:
    return texts((message.headers or {}).items())
