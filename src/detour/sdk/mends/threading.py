"""Threads: OpenTelemetry hands a context to `Thread.run`, which subclasses with a `run` of their own never call.

It hands it to threads too that a library keeps for everybody, such as those of a pool. And under gevent its timers
do nothing: it wraps `run` of `threading.Thread`, which is gevent's own subclass then and has none, so the wrapper
stands before the `run` of the standard library's `Timer` in the order in which gevent's `Timer` finds its methods.
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
"""Packages whose threads serve everybody, whichever request happens to start them."""


def mend(module: ModuleType) -> None:
    """Have threads run under the overrides that they are started with, and those that serve everybody without."""
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
        vars(thread).pop("run", None)  # it holds the thread, which holds it
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
        token = attach(getattr(self, "_otel_context", None) or get_current())  # where the instrumentation keeps it
        try:
            original.run(self)
        finally:
            detach(token)

    timer.run = run
