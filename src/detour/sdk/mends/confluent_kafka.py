"""confluent-kafka's consumers: OpenTelemetry makes the span of a message current, without the baggage."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from opentelemetry.context import get_current
from wrapt import wrap_function_wrapper

from detour.sdk.carriage import Headers, texts
from detour.sdk.mends.message import Batch, hold, release


def mend(module: ModuleType) -> None:
    """Have each message handled under its own overrides, polled or consumed."""
    module.Consumer = _carrying(module.Consumer)  # type: ignore[attr-defined]
    if hasattr(module, "DeserializingConsumer"):
        wrap_function_wrapper(module, "DeserializingConsumer.poll", _poll)


def _carrying(own: Any) -> type:
    """Return a consumer's class whose methods can be wrapped: the library's own are written in C."""

    class Consumer(own):  # type: ignore[misc]
        def poll(self, *args: Any, **kwargs: Any) -> Any:
            return _poll(super().poll, self, args, kwargs)

        def consume(self, *args: Any, **kwargs: Any) -> Any:
            release(self)
            return Batch(super().consume(*args, **kwargs), _headers, self)

        def close(self, *args: Any, **kwargs: Any) -> Any:
            release(self)
            return super().close(*args, **kwargs)

    Consumer.__module__, Consumer.__doc__ = own.__module__, own.__doc__
    return Consumer


def _poll(wrapped: Callable[..., Any], consumer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    release(consumer)
    before = get_current()
    message = wrapped(*args, **kwargs)
    if message is not None:
        hold(consumer, _headers(message), before)
    return message


def _headers(message: Any) -> Headers:
    return texts(message.headers())
