"""Sanic: a server of its own, for which OpenTelemetry has nothing.

When an application starts, Sanic compiles its own methods anew, and loses what stands around them by then.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from wrapt import wrap_function_wrapper

from detour.sdk.serving import handled


def mend(module: ModuleType) -> None:
    """Have each request handled, and answered, with its overrides."""
    wrap_function_wrapper(module, "TouchUp.run", _compile)


def _compile(wrapped: Callable[..., None], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    wrapped(*args, **kwargs)
    wrap_function_wrapper("sanic.app", "Sanic.handle_request", handled)
