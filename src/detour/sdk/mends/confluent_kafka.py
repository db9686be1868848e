"""confluent-kafka: OpenTelemetry makes a message's span current, but not its baggage.

It does not support the serializing classes. asyncio's producer has no headers and carries nothing.
"""

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any, Final

from opentelemetry.context import get_current
from wrapt import register_post_import_hook, wrap_function_wrapper

from detour.sdk.carriage import Headers, carried, texts
from detour.sdk.installation import is_on
from detour.sdk.mends.message import Batch, hold, release, with_carried

_HEADERS_POSITION: Final = 6


def mend(module: ModuleType) -> None:
    """Handle each message with its own overrides, after `poll` or `consume`."""
    module.Consumer = _carrying(module.Consumer)  # type: ignore[attr-defined]
    module.Producer = _sending(module.Producer)  # type: ignore[attr-defined]
    if hasattr(module, "DeserializingConsumer"):
        wrap_function_wrapper(module, "DeserializingConsumer.poll", _poll)
        wrap_function_wrapper(module, "SerializingProducer.produce", _produce)
    register_post_import_hook(_mend_asyncio, f"{module.__name__}.aio")


def _mend_asyncio(module: ModuleType) -> None:
    wrap_function_wrapper(module, "AIOConsumer.poll", _poll_asyncio)


def _carrying(own: Any) -> type:
    """Return a consumer class whose methods can be wrapped: the library's own are written in C."""

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


def _sending(own: Any) -> type:
    """Return a producer class that does not change the service's headers."""

    class Producer(own):  # type: ignore[misc]
        def produce(self, *args: Any, **kwargs: Any) -> Any:
            traced = is_on("confluent_kafka")
            args, kwargs = with_carried("headers", _HEADERS_POSITION, args, kwargs, traced=traced)
            return super().produce(*args, **kwargs)

    Producer.__module__, Producer.__doc__ = own.__module__, own.__doc__
    return Producer


def _produce(wrapped: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Send overrides with a message that its producer serializes."""
    if entries := [(name, value.encode()) for name, value in carried().items()]:
        given = args[_HEADERS_POSITION] if len(args) > _HEADERS_POSITION else kwargs.get("headers")
        headers = {**given, **dict(entries)} if isinstance(given, dict) else [*(given or ()), *entries]
        args, kwargs = args[:_HEADERS_POSITION], {**kwargs, "headers": headers}
    return wrapped(*args, **kwargs)


async def _poll_asyncio(
    wrapped: Callable[..., Awaitable[Any]], consumer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    release(consumer)
    message = await wrapped(*args, **kwargs)
    if message is not None:
        hold(consumer, _headers(message))
    return message


def _poll(wrapped: Callable[..., Any], consumer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    release(consumer)
    before = get_current()
    message = wrapped(*args, **kwargs)
    if message is not None:
        hold(consumer, _headers(message), before)
    return message


def _headers(message: Any) -> Headers:
    return texts(message.headers())
