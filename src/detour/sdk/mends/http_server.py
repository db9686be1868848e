"""http.server, which OpenTelemetry does not support, and servers based on it, such as wsgiref's."""

from collections.abc import Callable
from contextlib import ExitStack
from types import ModuleType
from typing import Any, Final

from wrapt import wrap_function_wrapper

from detour.sdk.serving import HEADERS, begin

_SERVED: Final = "_detour_served"


def mend(module: ModuleType) -> None:
    """Handle each request with its overrides, until the handler has finished with it."""
    wrap_function_wrapper(module, "BaseHTTPRequestHandler.parse_request", _parse_request)
    for name in ("handle_one_request", "finish"):  # servers that override the first end with the connection
        wrap_function_wrapper(module, f"BaseHTTPRequestHandler.{name}", _through)


def _parse_request(
    wrapped: Callable[..., bool], handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> bool:
    _end(handler)
    parsed = wrapped(*args, **kwargs)
    if parsed:
        found = {name: ",".join(lines) for name in HEADERS if (lines := handler.headers.get_all(name))}
        if serving := begin(found):
            served = ExitStack()
            served.enter_context(serving.whole())
            setattr(handler, _SERVED, served)
    return parsed


def _through(wrapped: Callable[..., None], handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    try:
        wrapped(*args, **kwargs)
    finally:
        _end(handler)


def _end(handler: Any) -> None:
    if served := vars(handler).pop(_SERVED, None):
        served.close()
