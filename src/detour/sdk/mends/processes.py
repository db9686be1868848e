"""Processes: a context ends at a process boundary, but never ends in a forked process.

Functions for another process are wrapped, so that they run there with the overrides in their headers.
"""

import os
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from opentelemetry.context import attach, detach, get_current
from wrapt import wrap_function_wrapper

from detour.sdk.carriage import carried, under_carried
from detour.sdk.request import current, without
from detour.sdk.scope import scope_of

_POOL: Final = ("apply_async", "_map_async", "imap", "imap_unordered")

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


class Errand:
    """A function that runs in another process, with the overrides of the request that started it.

    Args:
        function: The function.
        headers: The headers with the overrides.
    """

    def __init__(self, function: Callable[..., Any], headers: dict[str, str]) -> None:
        self.function = function
        self.headers = headers

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function; its process may have been started without the SDK."""
        from detour.sdk.installation import install  # noqa: PLC0415  a circular import

        install()
        with under_carried(self.headers):
            return self.function(*args, **kwargs)


def mend(module: ModuleType) -> None:
    """Wrap functions that are passed to process pools and to processes."""
    if module.__name__ == "concurrent.futures.process":
        wrap_function_wrapper(module, "ProcessPoolExecutor.submit", _give)
    elif module.__name__ == "multiprocessing.pool":
        for name in _POOL:
            wrap_function_wrapper(module, f"Pool.{name}", _give)
    else:
        wrap_function_wrapper(module, "BaseProcess.start", _start)


def _give(wrapped: Callable[..., Any], _: object, args: Args, kwargs: Kwargs) -> Any:
    """Submit a function to a pool, which may fork a process for it."""
    if not args or not current():
        return wrapped(*args, **kwargs)
    function, *others = args
    return _detached(wrapped, Errand(function, carried()), *others, **kwargs)


def _start(wrapped: Callable[..., Any], process: Any, args: Args, kwargs: Kwargs) -> Any:
    if not current():
        return wrapped(*args, **kwargs)
    target = process._target  # noqa: SLF001  the argument of `multiprocessing.Process(target=...)`
    if target is not None and not str(getattr(target, "__module__", "")).startswith(
        ("multiprocessing.", "concurrent.")
    ):
        process._target = Errand(target, carried())  # noqa: SLF001
    return _detached(wrapped, *args, **kwargs)


def _detached(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    token = attach(without(get_current()))
    try:
        return function(*args, **kwargs)
    finally:
        detach(token)


def _forked() -> None:
    """End the overrides of the request that forked this process, because its end is not visible here."""
    scope = scope_of(get_current())
    if scope is not None:
        scope.complete()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forked)
