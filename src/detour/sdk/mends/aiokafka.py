"""aiokafka: OpenTelemetry's span of a message ends before the message is handled."""

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from wrapt import wrap_function_wrapper

from detour.sdk.carriage import Headers, texts
from detour.sdk.installation import is_on
from detour.sdk.mends.message import Batch, Taking, hold, release, with_carried


def mend(module: ModuleType) -> None:
    """Handle each record with its own overrides, from the iterator or `getone`, on which the iterator is based."""
    wrap_function_wrapper(module, "AIOKafkaProducer.send", _send)
    wrap_function_wrapper(module, "AIOKafkaConsumer.__aiter__", _iterate)
    wrap_function_wrapper(module, "AIOKafkaConsumer.getone", _getone)
    wrap_function_wrapper(module, "AIOKafkaConsumer.getmany", _getmany)
    wrap_function_wrapper(module, "AIOKafkaConsumer.stop", _stop)


async def _send(
    wrapped: Callable[..., Awaitable[Any]], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    args, kwargs = with_carried("headers", 5, args, kwargs, traced=is_on("aiokafka"))
    return await wrapped(*args, **kwargs)


def _iterate(wrapped: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return Taking(wrapped(*args, **kwargs))


async def _getone(
    wrapped: Callable[..., Awaitable[Any]], consumer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    release(consumer)
    record = await wrapped(*args, **kwargs)
    hold(consumer, _headers(record))
    return record


async def _getmany(
    wrapped: Callable[..., Awaitable[Any]], consumer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    release(consumer)
    found = await wrapped(*args, **kwargs)
    return {partition: Batch(records, _headers, consumer) for partition, records in found.items()}


async def _stop(
    wrapped: Callable[..., Awaitable[Any]], consumer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    release(consumer)
    return await wrapped(*args, **kwargs)


def _headers(record: Any) -> Headers:
    return texts(record.headers)
