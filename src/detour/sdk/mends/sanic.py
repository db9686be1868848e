"""Sanic: a server of its own, for which OpenTelemetry has nothing.

When an application starts, Sanic compiles its own methods anew, and loses what stands around them by then.
"""

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from wrapt import wrap_function_wrapper

from detour.sdk.serving import HEADERS, begin


def mend(module: ModuleType) -> None:
    """Have each request handled, and answered, with its overrides."""
    wrap_function_wrapper(module, "TouchUp.run", _compile)


def _compile(wrapped: Callable[..., None], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    wrapped(*args, **kwargs)
    wrap_function_wrapper("sanic.app", "Sanic.handle_request", _handle)


async def _handle(
    wrapped: Callable[..., Awaitable[Any]], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    request = args[0] if args else kwargs["request"]
    serving = begin({name: ",".join(lines) for name in HEADERS if (lines := request.headers.getall(name, ()))})
    if serving is None:
        return await wrapped(*args, **kwargs)
    with serving.whole():
        return await wrapped(*args, **kwargs)
