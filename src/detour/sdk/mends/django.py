"""Django: the instrumentation must be enabled after the settings are known and before middleware is loaded."""

from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

from wrapt import wrap_function_wrapper

from detour.sdk.installation import instrument


def mend(module: ModuleType) -> None:
    """Enable the instrumentation when the first handler loads its middleware."""
    wrap_function_wrapper(module, "BaseHandler.load_middleware", _load_middleware)


def _load_middleware(
    wrapped: Callable[..., None], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    _instrument()
    wrapped(*args, **kwargs)


@cache
def _instrument() -> None:
    instrument("django")
