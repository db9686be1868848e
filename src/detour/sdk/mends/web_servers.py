"""Servers of WSGI and ASGI: applications that are made of no framework, or have middleware around it.

Those of frameworks are mended too, for servers that this does not know; each request is served once.
"""

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType, ModuleType
from typing import Any, Final

from wrapt import wrap_function_wrapper

from detour.sdk.mends import asgi, wsgi

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def mend(module: ModuleType) -> None:
    """Have a server's applications serve each request with its overrides."""
    name, wrapper = _SERVERS[module.__name__]
    wrap_function_wrapper(module, name, wrapper)


def _given(position: int, name: str) -> Callable[..., Any]:
    """Wrap what is given a WSGI application."""

    def wrapper(wrapped: Callable[..., Any], _: object, args: Args, kwargs: Kwargs) -> Any:
        if len(args) > position:
            args = (*args[:position], wsgi.carrying(args[position]), *args[position + 1 :])
        elif name in kwargs:
            kwargs = {**kwargs, name: wsgi.carrying(kwargs[name])}
        return wrapped(*args, **kwargs)

    return wrapper


def _run_application(wrapped: Callable[..., Any], handler: Any, args: Args, kwargs: Kwargs) -> Any:
    """Wrap what calls the handler's own application."""
    own = handler.application
    handler.application = wsgi.carrying(own)
    try:
        return wrapped(*args, **kwargs)
    finally:
        handler.application = own


def _import(wrapped: Callable[..., Any], _: object, args: Args, kwargs: Kwargs) -> Any:
    """Wrap what finds an application of either kind."""
    application = wrapped(*args, **kwargs)
    is_asgi = any(map(inspect.iscoroutinefunction, (application, getattr(application, "__call__", None))))  # noqa: B004
    return (asgi if is_asgi else wsgi).carrying(application)


def _load(wrapped: Callable[..., Any], config: Any, args: Args, kwargs: Kwargs) -> Any:
    """Wrap what finds an application of ASGI, and keeps it."""
    result = wrapped(*args, **kwargs)
    config.loaded_app = asgi.carrying(config.loaded_app)
    return result


_SERVERS: Final[Mapping[str, tuple[str, Callable[..., Any]]]] = MappingProxyType(
    {
        "gevent.pywsgi": ("WSGIHandler.run_application", _run_application),
        "gunicorn.util": ("import_app", _import),
        "uvicorn.config": ("Config.load", _load),
        "waitress.server": ("create_server", _given(0, "application")),
        "werkzeug.serving": ("make_server", _given(2, "app")),
        "wsgiref.handlers": ("BaseHandler.run", _given(0, "application")),
    }
)
