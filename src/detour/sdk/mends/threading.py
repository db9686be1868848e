"""Threads: OpenTelemetry passes a context to `Thread.run`, which subclasses with their own `run` never call.

It also passes the context to threads that a library keeps for all requests, such as those of a pool. Under gevent
its timers do nothing: it wraps `run` of `threading.Thread`. That class is gevent's own subclass then, which has no
`run`, so the wrapper precedes the `run` of the standard library's `Timer` in the method resolution order of
gevent's `Timer`.
"""

from types import ModuleType
from typing import Any, Final

from opentelemetry.context import Context, attach, detach, get_current
from wrapt import wrap_function_wrapper

from detour.sdk.request import current, without

_SHARED: Final = frozenset(
    {
        "aiosqlite",
        "anyio",
        "apscheduler",
        "celery",
        "concurrent",
        "ddtrace",
        "dramatiq",
        "grpc",
        "kafka",
        "kombu",
        "logging",
        "multiprocessing",
        "opentelemetry",
        "prometheus_client",
        "psycopg_pool",
        "pymongo",
        "redis",
        "rq",
        "sentry_sdk",
        "socketserver",
        "sqlalchemy",
        "watchdog",
    }
)
"""Packages whose threads serve all requests, whichever request happens to start them."""


def mend(module: ModuleType) -> None:
    """Run threads with the overrides that they are started with, and threads that serve all requests without."""
    _mend_timers(module)
    wrap_function_wrapper(module, "Thread.start", _start)


def _start(wrapped: Any, thread: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not current():
        return wrapped(*args, **kwargs)
    if not _is_shared(thread):
        _run_in(get_current(), thread)
        return wrapped(*args, **kwargs)
    token = attach(without(get_current()))
    try:
        return wrapped(*args, **kwargs)
    finally:
        detach(token)


def _is_shared(thread: Any) -> bool:
    own = getattr(thread, "_target", None) or type(thread)
    return str(getattr(own, "__module__", "")).partition(".")[0] in _SHARED


def _run_in(context: Context, thread: Any) -> None:
    own = thread.run

    def run() -> None:
        vars(thread).pop("run", None)  # breaks the reference cycle between the function and the thread
        token = attach(context)
        try:
            own()
        finally:
            detach(token)

    thread.run = run


def _mend_timers(module: ModuleType) -> None:
    timer: Any = module.Timer
    original: Any = next((one for one in timer.__mro__[1:] if one.__name__ == timer.__name__), None)
    if original is None:
        return

    def run(self: Any) -> None:
        token = attach(getattr(self, "_otel_context", None) or get_current())  # set by the instrumentation
        try:
            original.run(self)
        finally:
            detach(token)

    timer.run = run
