"""RQ, which OpenTelemetry does not support: overrides travel in a job's metadata, also on retries."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from wrapt import wrap_function_wrapper

from detour.sdk.carriage import carried, under_carried

_META: Final = "detour"


def mend(module: ModuleType) -> None:
    """Store the request's overrides in every job that is created, and perform the job with them."""
    wrap_function_wrapper(module, "job.Job.create", _create)
    wrap_function_wrapper(module, "job.Job.perform", _perform)
    worker = next(one for one in module.Worker.__mro__ if "perform_job" in vars(one))
    wrap_function_wrapper(worker, "perform_job", _perform_job)


def _create(wrapped: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    job = wrapped(*args, **kwargs)
    headers = carried()
    if headers or _META in job.meta:  # the latter from another job, or an earlier one that shares the object
        others = {name: value for name, value in job.meta.items() if name != _META}
        job.meta = {**others, _META: headers} if headers else others
    return job


def _perform_job(wrapped: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run callbacks and exception handlers with the job's overrides, too."""
    return _perform(wrapped, args[0] if args else kwargs["job"], args, kwargs)


def _perform(wrapped: Callable[..., Any], job: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    with under_carried(job.meta.get(_META) or {}):
        return wrapped(*args, **kwargs)
