"""WSGI and ASGI servers, for applications without a supported framework, or with middleware around it.

Frameworks' applications are wrapped, too, for servers that are not listed here. Each request is served once.

Most servers are patched where they answer a request, not where they receive their application: services often
install the SDK in the very module that the server is importing, and then the server already has the application.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType, ModuleType
from typing import Any, Final

from wrapt import wrap_function_wrapper

from detour.sdk.mends import asgi, wsgi
from detour.sdk.serving import HEADERS, begin

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
Wrapper = Callable[[Callable[..., Any], Any, Args, Kwargs], Any]


def mend(module: ModuleType) -> None:
    """Serve each request of a server's applications with its overrides."""
    for name, wrapper in _SERVERS[module.__name__].items():
        wrap_function_wrapper(module, name, wrapper)


def _given(position: int, name: str, carrying: Callable[..., Any]) -> Wrapper:
    """Wrap a function that receives an application."""

    def wrapper(wrapped: Callable[..., Any], _: object, args: Args, kwargs: Kwargs) -> Any:
        if len(args) > position:
            args = (*args[:position], carrying(args[position]), *args[position + 1 :])
        elif name in kwargs:
            kwargs = {**kwargs, name: carrying(kwargs[name])}
        return wrapped(*args, **kwargs)

    return wrapper


def _answering(headers: Callable[..., Mapping[str, str]]) -> Wrapper:
    """Wrap a function that answers one request, until the end of its response.

    Args:
        headers: Returns the request's headers, as far as they are in `HEADERS`, from the object and the arguments.
    """

    def wrapper(wrapped: Callable[..., Any], answering: Any, args: Args, kwargs: Kwargs) -> Any:
        serving = begin(headers(answering, *args))
        if serving is None:
            return wrapped(*args, **kwargs)
        with serving.whole():
            return wrapped(*args, **kwargs)

    return wrapper


def _of_gunicorn(_: object, *args: Any) -> dict[str, str]:
    request = next(one for one in args if hasattr(one, "headers"))  # its position differs between workers
    return _joined((name.lower(), value) for name, value in request.headers)


def _of_waitress(task: Any) -> dict[str, str]:
    found = {name: task.request.headers.get(name.upper().replace("-", "_")) for name in HEADERS}
    return {name: value for name, value in found.items() if value is not None}


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return those headers that are in `HEADERS`, with repeated lines joined."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if name in HEADERS:
            found.setdefault(name, []).append(value)
    return {name: ",".join(lines) for name, lines in found.items()}


def _run_application(wrapped: Callable[..., Any], handler: Any, args: Args, kwargs: Kwargs) -> Any:
    """Wrap the method that calls the handler's own application."""
    own = handler.application
    handler.application = wsgi.carrying(own)
    try:
        return wrapped(*args, **kwargs)
    finally:
        handler.application = own


def _import(wrapped: Callable[..., Any], _: object, args: Args, kwargs: Kwargs) -> Any:
    """Wrap a function that loads an application of either kind."""
    application = wrapped(*args, **kwargs)
    is_asgi = any(map(inspect.iscoroutinefunction, (application, getattr(application, "__call__", None))))  # noqa: B004
    return (asgi if is_asgi else wsgi).carrying(application)


def _keep(name: str) -> Wrapper:
    """Wrap a method that sets an object's own ASGI application."""

    def wrapper(wrapped: Callable[..., Any], keeping: Any, args: Args, kwargs: Kwargs) -> Any:
        result = wrapped(*args, **kwargs)
        setattr(keeping, name, asgi.carrying(getattr(keeping, name)))
        return result

    return wrapper


_GUNICORN: Final = _answering(_of_gunicorn)
_GRANIAN: Final = MappingProxyType(
    {
        "_asgi_call_wrap": _given(0, "callback", asgi.carrying),
        "_wsgi_call_wrap": _given(0, "callback", wsgi.carrying),
    }
)
_CYCLE: Final = MappingProxyType({"RequestResponseCycle.run_asgi": _given(0, "app", asgi.carrying)})

_SERVERS: Final[Mapping[str, Mapping[str, Wrapper]]] = MappingProxyType(
    {
        "cheroot.wsgi": {"Gateway.respond": _answering(lambda gateway: wsgi.headers_in(gateway.env))},
        "daphne.server": {"Server.__init__": _given(0, "application", asgi.carrying)},
        "gevent.pywsgi": {"WSGIHandler.run_application": _run_application},
        "granian.server.mp": _GRANIAN,
        "granian.server.mt": _GRANIAN,
        "gunicorn.asgi.protocol": {"ASGIProtocol.__init__": _keep("app")},
        "gunicorn.util": {"import_app": _import},
        "gunicorn.workers.base_async": {"AsyncWorker.handle_request": _GUNICORN},
        "gunicorn.workers.gthread": {"ThreadWorker.handle_request": _GUNICORN},
        "gunicorn.workers.sync": {"SyncWorker.handle_request": _GUNICORN},
        "hypercorn.app_wrappers": {
            "ASGIWrapper.__call__": asgi.called,
            "WSGIWrapper.__call__": asgi.called,
        },
        "uvicorn.config": {"Config.load": _keep("loaded_app")},
        "uvicorn.protocols.http.h11_impl": _CYCLE,
        "uvicorn.protocols.http.httptools_impl": _CYCLE,
        "waitress.task": {"WSGITask.execute": _answering(_of_waitress)},
        "werkzeug.serving": {"make_server": _given(2, "app", wsgi.carrying)},
        "wsgiref.handlers": {"BaseHandler.run": _given(0, "application", wsgi.carrying)},
    }
)
