"""Serves a request with its overrides, from when its headers are read until its response is complete.

Mends of servers wrap all other layers. It therefore does not matter which layers are traced, and code that a
framework runs late (lazy bodies, close callbacks) has the overrides, too.

Invariant: a request without overrides, if no overrides are current, creates nothing and costs two header lookups.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from opentelemetry.context import Context, attach, detach, get_current

from detour.sdk.propagator import BAGGAGE, OPENTRACING, entered
from detour.sdk.scope import Scope, scope_of

T = TypeVar("T")

HEADERS: Final = (BAGGAGE, OPENTRACING)
"""The headers that carry overrides."""


class Serving:
    """A request that is being served.

    Args:
        context: The context in which its code continues.
        scope: The scope that ends with its response.
    """

    __slots__ = ("context", "scope")

    def __init__(self, context: Context, scope: Scope) -> None:
        self.context = context
        self.scope = scope

    @contextmanager
    def step(self) -> Iterator[None]:
        """Run some of its code. Changes of the context, such as a new span, are kept for the next step."""
        token = attach(self.context)
        try:
            yield
        finally:
            after = get_current()
            if scope_of(after) is scope_of(self.context):  # otherwise some code has restored an earlier context
                self.context = after
            detach(token)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Run all of its code; afterwards the response is complete."""
        token = attach(self.context)
        try:
            yield
        finally:
            detach(token)
            self.scope.complete()


def begin(headers: Mapping[str, str]) -> Serving | None:
    """Start to serve a request with these of `HEADERS`; None if its code runs in the current context."""
    scope = Scope(seen=True)
    context = entered(headers, scope)
    return None if context is None else Serving(context, scope)


async def handled(
    wrapped: Callable[..., Awaitable[Any]], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Wrap a server's coroutine that handles and answers `request`, whose headers are a multidict."""
    request = args[0] if args else kwargs["request"]
    serving = begin({name: ",".join(lines) for name in HEADERS if (lines := request.headers.getall(name, ()))})
    if serving is None:
        return await wrapped(*args, **kwargs)
    with serving.whole():
        return await wrapped(*args, **kwargs)


def bound(wrapped: Callable[..., T], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    """Wrap, for `wrapt`, a method whose first argument is a callback: the callback runs in the current context."""
    callback, *others = args
    return wrapped(in_context(callback, get_current()), *others, **kwargs)


def in_context(function: Callable[..., T], context: Context) -> Callable[..., T]:
    """Return the function, wrapped to run in this context."""

    def run(*args: Any, **kwargs: Any) -> T:
        token = attach(context)
        try:
            return function(*args, **kwargs)
        finally:
            detach(token)

    return run
