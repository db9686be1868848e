"""pika: OpenTelemetry's instrumentation covers callbacks of blocking channels.

It covers neither messages that are pulled from a channel, nor callbacks of the other adapters' channels.
"""

from collections.abc import Callable, Iterator
from copy import copy
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, Final

from opentelemetry.context import get_current
from wrapt import wrap_function_wrapper

from detour.sdk.carriage import Headers, carried, texts, under_carried
from detour.sdk.mends.message import hold, own_headers, release, with_own
from detour.sdk.request import current

_PROPERTIES_POSITION: Final = 3


def mend(module: ModuleType) -> None:
    """Handle each message of `consume` and `basic_get` with its own overrides."""
    for name in ("adapters.blocking_connection.BlockingConnection", "connection.Connection"):
        wrap_function_wrapper(module, f"{name}.channel", _open)
    for name in ("channel.Channel", "adapters.blocking_connection.BlockingChannel"):
        wrap_function_wrapper(module, f"{name}.basic_consume", partial(_call_back, "on_message_callback"))
    wrap_function_wrapper(module, "channel.Channel.basic_get", partial(_call_back, "callback"))
    wrap_function_wrapper(module, "adapters.blocking_connection.BlockingChannel.consume", _consume)
    wrap_function_wrapper(module, "adapters.blocking_connection.BlockingChannel.basic_get", _basic_get)


def _open(wrapped: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Open a channel that does not change the service's properties."""
    channel = wrapped(*args, **kwargs)
    publish = channel.basic_publish

    def basic_publish(*args: Any, **kwargs: Any) -> Any:
        if len(args) <= _PROPERTIES_POSITION and kwargs.get("properties") is None and current():
            kwargs = {**kwargs, "properties": import_module("pika").BasicProperties()}
        args, kwargs = with_own("properties", _PROPERTIES_POSITION, args, kwargs, _own)
        return publish(*args, **kwargs)

    channel.basic_publish = basic_publish
    return channel


def _own(properties: Any) -> Any:
    own = copy(properties)
    if own is not None:
        own.headers = own_headers(own.headers)
        if headers := carried():
            own.headers = {**(own.headers or {}), **headers}
    return own


def _call_back(
    name: str, wrapped: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Run the callback of that name with each message's overrides."""
    args, kwargs = with_own(name, 1, args, kwargs, _carrying)
    return wrapped(*args, **kwargs)


def _carrying(callback: Any) -> Any:
    if not callable(callback):
        return callback  # pika reports the error

    def carrying(channel: Any, method: Any, properties: Any, body: Any) -> Any:
        with under_carried(_headers(properties)):
            return callback(channel, method, properties, body)

    return carrying


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
            if delivery[0] is not None:  # otherwise no message arrived within the service's time limit
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
