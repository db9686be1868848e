"""Work that should outlive the request that happens to start it."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from opentelemetry.context import attach, detach, get_current

from detour.sdk.request import without

F = TypeVar("F", bound=Callable[..., Any])


class detached:  # noqa: N801  it is used like a function
    """Runs a block, or each call of a function, and everything that it starts, without overrides.

        with detached():
            threading.Thread(target=refresh_for_ever).start()

        @detached()
        async def refresh_for_ever(): ...

    The trace and other baggage entries stay.
    """

    def __init__(self) -> None:
        self._tokens: list[Any] = []

    def __enter__(self) -> None:
        self._tokens.append(attach(without(get_current())))

    def __exit__(self, *_: object) -> None:
        detach(self._tokens.pop())

    def __call__(self, function: F) -> F:
        """Return the function, wrapped to run detached.

        Raises:
            TypeError: It is a generator function, whose caller runs between its steps.
        """
        import inspect  # noqa: PLC0415  slower to import than everything else here

        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is a generator: use `with detached():` where it starts work")
        return cast("F", _awaiting(function) if inspect.iscoroutinefunction(function) else _calling(function))


def _calling(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with detached():
            return function(*args, **kwargs)

    return call


def _awaiting(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        with detached():
            return await function(*args, **kwargs)

    return call
