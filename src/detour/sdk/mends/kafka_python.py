"""kafka-python: OpenTelemetry's span of a message ends before the message is handled."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from wrapt import wrap_function_wrapper

from detour.sdk.carriage import Headers, texts
from detour.sdk.installation import is_on
from detour.sdk.mends.message import Batch, Taking, hold, release, with_carried


def mend(module: ModuleType) -> None:
    """Handle each record with its own overrides, from the iterator or `poll`."""
    wrap_function_wrapper(module, "KafkaProducer.send", _send)
    wrap_function_wrapper(module, "KafkaConsumer.__iter__", _iterate)
    wrap_function_wrapper(module, "KafkaConsumer.__next__", _next)
    wrap_function_wrapper(module, "KafkaConsumer.poll", _poll)
    wrap_function_wrapper(module, "KafkaConsumer.close", _close)


def _send(wrapped: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    args, kwargs = with_carried("headers", 3, args, kwargs, traced=is_on("kafka"))
    return wrapped(*args, **kwargs)


def _iterate(wrapped: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return Taking(wrapped(*args, **kwargs))


def _next(wrapped: Callable[..., Any], consumer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    release(consumer)
    record = wrapped(*args, **kwargs)
    hold(consumer, _headers(record))
    return record


def _poll(wrapped: Callable[..., Any], consumer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    release(consumer)
    found = wrapped(*args, **kwargs)
    if "update_offsets" in kwargs:  # the call of the consumer's own iterator
        return found
    return {partition: Batch(records, _headers, consumer) for partition, records in found.items()}


def _close(wrapped: Callable[..., Any], consumer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    release(consumer)
    return wrapped(*args, **kwargs)


def _headers(record: Any) -> Headers:
    return texts(record.headers)
