"""Celery: OpenTelemetry's instrumentation ends a task's context before the service's `task_postrun` handlers."""

from collections.abc import Callable
from functools import partial, wraps
from types import ModuleType
from typing import Any

from wrapt import register_post_import_hook, wrap_function_wrapper

from detour.sdk.carriage import carried, texts, under_carried
from detour.sdk.request import current

Trace = Callable[..., Any]


def mend(_: ModuleType) -> None:
    """Send overrides with each task, and run the whole task with them, including signals, retries and callbacks."""
    register_post_import_hook(_mend_publishing, "celery.signals")
    register_post_import_hook(_mend_tracing, "celery.app.trace")


def _mend_publishing(module: Any) -> None:
    module.before_task_publish.connect(_publish, weak=False)


def _publish(headers: dict[str, Any] | None = None, **_: Any) -> None:
    if headers is not None:
        headers.update(carried())


def _mend_tracing(module: ModuleType) -> None:
    wrap_function_wrapper(module, "build_tracer", _build)


def _build(wrapped: Callable[..., Trace], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Trace:
    trace = wrapped(*args, **kwargs)
    return wraps(trace)(partial(_run_here if kwargs.get("eager") else _run, trace))


def _run(trace: Trace, uuid: Any, args: Any, kwargs: Any, request: dict[str, Any] | None = None) -> Any:
    with under_carried(texts((request or {}).items())):
        return trace(uuid, args, kwargs, request)


def _run_here(trace: Trace, uuid: Any, args: Any, kwargs: Any, request: dict[str, Any] | None = None) -> Any:
    """Run a task that is called in-process, for which OpenTelemetry looks for a context in the task's headers."""
    return trace(uuid, args, kwargs, {**(request or {}), **carried()} if current() else request)
