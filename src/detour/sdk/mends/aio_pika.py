"""aio-pika: callbacks are carried by OpenTelemetry; messages that are pulled from a queue are not."""

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from wrapt import wrap_function_wrapper

from detour.sdk.carriage import Headers, texts
from detour.sdk.mends.message import hold, release


def mend(module: ModuleType) -> None:
    """Have each message of an iterator, and of `get`, handled under its own overrides."""
    for name in ("queue.QueueIterator", "robust_queue.RobustQueueIterator"):  # each has its own
        wrap_function_wrapper(module, f"{name}.__anext__", _take)
    wrap_function_wrapper(module, "queue.QueueIterator.close", _close)
    wrap_function_wrapper(module, "queue.Queue.get", _take)


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
