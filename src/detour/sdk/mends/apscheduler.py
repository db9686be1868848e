"""APScheduler on an event loop: its timers, and the jobs that they run, do not belong to any request.

A scheduler with its own thread is covered by `threading`: that thread starts without overrides.
"""

from types import ModuleType
from typing import Any

from wrapt import wrap_function_wrapper

from detour.sdk.detachment import detached


def mend(module: ModuleType) -> None:
    """Run jobs without the overrides of the request that happens to start the scheduler or to add a job."""
    wrap_function_wrapper(module, "BaseScheduler._process_jobs", _detached)


def _detached(wrapped: Any, _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    with detached():
        return wrapped(*args, **kwargs)
