"""Thread pools: submitted functions and completion callbacks run in the context of the code that submitted them.

OpenTelemetry passes the context to submitted functions, unless its instrumentation of threads is disabled.
Callbacks run in a thread of the pool, which serves all requests.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from opentelemetry.context import get_current
from wrapt import wrap_function_wrapper

from detour.sdk.request import current
from detour.sdk.serving import in_context


def mend(module: ModuleType) -> None:
    """Pass overrides to functions that are submitted to a thread pool, and to callbacks of any future."""
    wrap_function_wrapper(module, "ThreadPoolExecutor.submit", _given)
    wrap_function_wrapper("concurrent.futures._base", "Future.add_done_callback", _given)


def _given(wrapped: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not args or not current():
        return wrapped(*args, **kwargs)
    function, *others = args
    return wrapped(in_context(function, get_current()), *others, **kwargs)
