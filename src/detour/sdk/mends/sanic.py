"""Sanic: it has a server of its own, which OpenTelemetry does not support.

When an application starts, Sanic recompiles its own methods, which removes earlier wrappers.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from wrapt import wrap_function_wrapper

from detour.sdk.serving import handled


def mend(module: ModuleType) -> None:
    """Handle and answer each request with its overrides."""
    wrap_function_wrapper(module, "TouchUp.run", _compile)


def _compile(wrapped: Callable[..., None], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    wrapped(*args, **kwargs)
    wrap_function_wrapper("sanic.app", "Sanic.handle_request", handled)
