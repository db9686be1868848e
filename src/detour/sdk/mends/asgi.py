"""ASGI: OpenTelemetry's middleware is one of many, and omits requests that it does not trace.

An application's call lasts as long as the response, including background tasks, or as the WebSocket.
"""

from functools import partial, wraps
from types import MappingProxyType, ModuleType
from typing import Any, Final

from detour.sdk.serving import HEADERS, Serving, begin

_APPLICATIONS: Final = MappingProxyType(
    {
        "starlette.applications": "Starlette",
        "django.core.handlers.asgi": "ASGIHandler",
        "falcon.asgi.app": "App",
        "litestar.app": "Litestar",
        "quart.app": "Quart",
        "opentelemetry.instrumentation.asgi": "OpenTelemetryMiddleware",
    }
)
_NAMES: Final = MappingProxyType({name.encode(): name for name in HEADERS})
_SERVED: Final = "detour.served"


def mend(module: ModuleType) -> None:
    """Serve each request of a framework's applications with its overrides."""
    kind: Any = getattr(module, _APPLICATIONS[module.__name__])
    kind.__call__ = _carrying(kind.__call__)


def carrying(application: Any) -> Any:
    """Wrap an application to serve each request with its overrides."""

    async def carry(scope: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        await _serve(application, scope, *args, **kwargs)

    return carry


async def called(wrapped: Any, _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Wrap, for `wrapt`, a method with the signature of an application."""
    await _serve(wrapped, *args, **kwargs)


def _carrying(own: Any) -> Any:
    @wraps(own)
    async def __call__(self: Any, scope: dict[str, Any], *args: Any, **kwargs: Any) -> None:  # noqa: N807
        await _serve(partial(own, self), scope, *args, **kwargs)

    return __call__  # servers check for a coroutine function, which a wrapper of wrapt is not


async def _serve(application: Any, scope: dict[str, Any], *args: Any, **kwargs: Any) -> None:
    serving = _begin(scope)
    if serving is None:
        await application(scope, *args, **kwargs)
    else:
        with serving.whole():
            await application(scope, *args, **kwargs)


def _begin(scope: dict[str, Any]) -> Serving | None:
    if scope["type"] not in {"http", "websocket"} or _SERVED in scope:
        return None
    scope[_SERVED] = True
    lines: dict[str, list[str]] = {}
    for key, value in scope.get("headers", ()):
        if name := _NAMES.get(key):
            lines.setdefault(name, []).append(value.decode("latin-1"))
    return begin({name: ",".join(values) for name, values in lines.items()})
