"""aiohttp's server: OpenTelemetry's middleware takes the trace from a request's headers, and leaves the baggage.

No middleware sees a response being written: its signals are sent, and its body is made, when all have returned.
"""

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from wrapt import wrap_function_wrapper

from detour.sdk.serving import HEADERS, begin


def mend(module: ModuleType) -> None:
    """Have each request handled, and answered, with its overrides."""
    wrap_function_wrapper(module, "RequestHandler._handle_request", _handle)


async def _handle(
    wrapped: Callable[..., Awaitable[Any]], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    request = args[0] if args else kwargs["request"]
    serving = begin({name: ",".join(lines) for name in HEADERS if (lines := request.headers.getall(name, ()))})
    if serving is None:
        return await wrapped(*args, **kwargs)
    with serving.whole():
        return await wrapped(*args, **kwargs)
