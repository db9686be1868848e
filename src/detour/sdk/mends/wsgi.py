"""WSGI (PEP 3333): OpenTelemetry's context ends when the application returns, but the body is generated later."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType, ModuleType
from typing import Any, Final

from wrapt import wrap_function_wrapper

from detour.sdk.propagator import BAGGAGE, OPENTRACING
from detour.sdk.serving import Serving, begin

_APPLICATIONS: Final = MappingProxyType(
    {
        "flask.app": "Flask.__call__",
        "django.core.handlers.wsgi": "WSGIHandler.__call__",
        "bottle": "Bottle.__call__",
        "cherrypy._cptree": "Application.__call__",
        "falcon.app": "App.__call__",
        "pyramid.router": "Router.__call__",
        "opentelemetry.instrumentation.wsgi": "OpenTelemetryMiddleware.__call__",
    }
)
_NAMES: Final = MappingProxyType({"HTTP_BAGGAGE": BAGGAGE, "HTTP_X_OT_SPAN_CONTEXT": OPENTRACING})
_SERVED: Final = "detour.served"


def mend(module: ModuleType) -> None:
    """Serve each request of a framework's applications with its overrides, until the end of its body."""
    wrap_function_wrapper(module, _APPLICATIONS[module.__name__], _called)


def carrying(application: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap an application to serve each request with its overrides."""

    def carry(environ: dict[str, Any], start_response: Any) -> Any:
        return _serve(application, environ, start_response)

    return carry


def headers_in(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return the request headers that carry overrides."""
    return {name: environ[key] for key, name in _NAMES.items() if key in environ}


def _called(wrapped: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _serve(wrapped, *args, **kwargs)


def _serve(application: Callable[..., Any], environ: dict[str, Any], start_response: Any) -> Any:
    if _SERVED in environ:
        return application(environ, start_response)
    environ[_SERVED] = True
    serving = begin(headers_in(environ))
    if serving is None:
        return application(environ, start_response)
    try:
        with serving.step():
            body = application(environ, start_response)
    except BaseException:
        serving.scope.complete()
        raise
    if isinstance(body, list | tuple):  # nothing is generated late, and servers need its length
        serving.scope.complete()
        return body
    return _Body(body, serving)


class _Body:
    """The body of a response. Each part is generated with the request's overrides.

    Args:
        body: The application's return value.
        serving: The request.
    """

    def __init__(self, body: Any, serving: Serving) -> None:
        self._body = body
        self._serving = serving
        self._parts: Iterator[bytes] | None = None

    def __iter__(self) -> "_Body":
        return self

    def __next__(self) -> bytes:
        with self._serving.step():
            if self._parts is None:
                self._parts = iter(self._body)
            return next(self._parts)

    def close(self) -> None:
        """Run the callbacks after the response (PEP 3333, "Specification Details")."""
        try:
            if close := getattr(self._body, "close", None):
                with self._serving.step():
                    close()
        finally:
            self._serving.scope.complete()

    def __del__(self) -> None:
        self._serving.scope.complete()  # for servers that never close the body
