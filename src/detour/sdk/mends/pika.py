"""pika: callbacks are carried by OpenTelemetry; messages that are pulled from a blocking channel are not."""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from opentelemetry.context import get_current
from wrapt import wrap_function_wrapper

from detour.sdk.carriage import Headers, texts
from detour.sdk.mends.message import hold, release


def mend(module: ModuleType) -> None:
    """Have each message of `consume` and `basic_get` handled under its own overrides."""
    wrap_function_wrapper(module, "adapters.blocking_connection.BlockingChannel.consume", _consume)
    wrap_function_wrapper(module, "adapters.blocking_connection.BlockingChannel.basic_get", _basic_get)


def _consume(
    wrapped: Callable[..., Iterator[Any]], channel: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[Any]:
    messages = wrapped(*args, **kwargs)
    try:
        while True:
            release(channel)
            before = get_current()
            delivery = next(messages, None)
            if delivery is None:
                return
            if delivery[0] is not None:  # else nothing came within the time that the service waits
                hold(channel, _headers(delivery[1]), before)
            yield delivery
    finally:
        release(channel)
        messages.close()  # type: ignore[attr-defined]


def _basic_get(wrapped: Callable[..., Any], channel: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    release(channel)
    delivery = wrapped(*args, **kwargs)
    if delivery[0] is not None:
        hold(channel, _headers(delivery[1]))
    return delivery


def _headers(properties: Any) -> Headers:
    return texts((properties.headers or {}).items())
