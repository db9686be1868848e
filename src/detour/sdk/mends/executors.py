"""Pools of threads: what is submitted, and what is to be called when it is done, runs as where it was given.

OpenTelemetry hands the context to what is submitted, unless its instrumentation of threads is off. A callback runs
in a thread of the pool, which serves everybody.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from opentelemetry.context import get_current
from wrapt import wrap_function_wrapper

from detour.sdk.request import current
from detour.sdk.serving import in_context


def mend(module: ModuleType) -> None:
    """Hand overrides to what is given to a pool of threads, and to any future."""
    wrap_function_wrapper(module, "ThreadPoolExecutor.submit", _given)
    wrap_function_wrapper("concurrent.futures._base", "Future.add_done_callback", _given)


def _given(wrapped: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not args or not current():
        return wrapped(*args, **kwargs)
    function, *others = args
    return wrapped(in_context(function, get_current()), *others, **kwargs)
