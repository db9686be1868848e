"""aio-pika: callbacks are carried by OpenTelemetry; messages that are pulled from a queue are not."""

from collections.abc import Awaitable, Callable
from copy import copy
from types import ModuleType
from typing import Any

from aio_pika import Message
from wrapt import wrap_function_wrapper

from detour.sdk.carriage import Headers, texts
from detour.sdk.mends.message import Taking, hold, own_headers, release, with_own


def mend(module: ModuleType) -> None:
    """Have each message of an iterator, and of `get`, handled under its own overrides."""
    for name in ("queue.QueueIterator", "robust_queue.RobustQueueIterator"):  # each has its own
        wrap_function_wrapper(module, f"{name}.__anext__", _take)
    wrap_function_wrapper(module, "queue.QueueIterator.close", _close)
    for name in ("queue.QueueIterator", "queue.Queue"):
        wrap_function_wrapper(module, f"{name}.__aiter__", _iterate)
    wrap_function_wrapper(module, "exchange.Exchange.publish", _publish)
    wrap_function_wrapper(module, "queue.Queue.get", _take)


async def _publish(
    wrapped: Callable[..., Awaitable[Any]], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    args, kwargs = with_own("message", 0, args, kwargs, _own)
    return await wrapped(*args, **kwargs)


def _own(message: Any) -> Any:
    if type(message) is not Message:  # the copy of one of its subclasses is none of the subclass
        return message
    own = copy(message)
    own.headers = own_headers(message.headers)
    return own


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
