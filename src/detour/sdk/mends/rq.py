"""RQ, for which OpenTelemetry has nothing: overrides travel in a job's meta data, also with its retries."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from opentelemetry.context import attach, detach
from wrapt import wrap_function_wrapper

from detour.sdk.carriage import carried, context_of

_META: Final = "detour"


def mend(module: ModuleType) -> None:
    """Note the overrides of the request in every job that is made, and perform it under them."""
    wrap_function_wrapper(module, "job.Job.create", _create)
    wrap_function_wrapper(module, "job.Job.perform", _perform)


def _create(wrapped: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    job = wrapped(*args, **kwargs)
    if headers := carried():
        job.meta.setdefault(_META, headers)
    return job


def _perform(wrapped: Callable[..., Any], job: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    token = attach(context_of(job.meta.get(_META) or {}))
    try:
        return wrapped(*args, **kwargs)
    finally:
        detach(token)
