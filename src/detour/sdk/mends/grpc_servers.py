"""gRPC servers: an interceptor that serves each call with its overrides, until the call has ended.

Invariant: a handler keeps its form: function or coroutine, messages or streams. There is one exception: a handler
that writes its stream on asyncio becomes one that yields it, the only form that OpenTelemetry's interceptor
supports.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from functools import wraps
from typing import Any, Final

from opentelemetry.context import get_current
from wrapt import ObjectProxy

from detour.sdk.serving import HEADERS, Serving, begin, in_context

Behavior = Callable[..., Any]

_KINDS: Final = {
    (False, False): "unary_unary",
    (False, True): "unary_stream",
    (True, False): "stream_unary",
    (True, True): "stream_stream",
}
"""The attribute with a handler's function, by whether requests and responses are streams."""


def interceptor(module: Any) -> object:
    """Return an interceptor for `grpc.server`."""

    class Carrying(module.ServerInterceptor):  # type: ignore[misc]
        def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
            serving = _begin(details)
            if serving is None:
                return continuation(details)
            with serving.step():
                handler = continuation(details)
            return _changed(handler, lambda own, streams: (_streamed if streams else _called)(serving, own))

    return Carrying()


def async_interceptor(module: Any) -> object:
    """Return an interceptor for `grpc.aio.server`."""

    class Carrying(module.ServerInterceptor):  # type: ignore[misc]
        async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
            serving = _begin(details)
            if serving is None:
                return await continuation(details)
            with serving.step():
                handler = await continuation(details)
            return _changed(handler, lambda own, streams: _async(serving, own, streams=streams))

    return Carrying()


def yielding_interceptor(module: Any) -> object:
    """Return an interceptor for `grpc.aio.server` that makes handlers yield their streams."""

    class Yielding(module.ServerInterceptor):  # type: ignore[misc]
        async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
            return _changed(await continuation(details), _yielding)

    return Yielding()


def _begin(details: Any) -> Serving | None:
    return begin(_headers(details.invocation_metadata or ()))


def _headers(metadata: Iterable[tuple[str, Any]]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for key, value in metadata:
        if key in HEADERS and isinstance(value, str):
            found.setdefault(key, []).append(value)
    return {name: ",".join(lines) for name, lines in found.items()}


def _changed(handler: Any, change: Callable[[Behavior, bool], Behavior]) -> Any:
    """Return a handler with another function; None stays None: the server does not implement the method."""
    if handler is None:
        return None
    name = _KINDS[handler.request_streaming, handler.response_streaming]
    own = getattr(handler, name)
    changed = change(own, handler.response_streaming)
    if changed is own:
        return handler
    import grpc  # noqa: PLC0415

    make = getattr(grpc, f"{name}_rpc_method_handler")
    return make(changed, handler.request_deserializer, handler.response_serializer)


class _Callbacks:
    """The callbacks of a call: its overrides end when all of them have run, in whatever order.

    Args:
        serving: The call.
    """

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._waiting = [None]  # several threads change it, in a single step each

    def added(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        """Return a replacement for a callback, which runs in the current context."""
        self._waiting.append(None)
        run = in_context(callback, get_current())

        def run_and_note(*args: Any) -> None:
            try:
                run(*args)
            finally:
                self.ran()

        return run_and_note

    def ran(self, *_: object) -> None:
        """Record that a callback has run, or that the call has ended."""
        self._waiting.pop()
        if not self._waiting:
            self._serving.scope.complete()


class _Context(ObjectProxy[Any]):
    """A servicer's context whose callbacks run in the context of the code that adds them."""

    def __init__(self, context: Any, serving: Serving) -> None:
        super().__init__(context)
        self._self_callbacks = _Callbacks(serving)

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Add a callback of `grpc.server`; return False if the call has ended."""
        added: bool = self.__wrapped__.add_callback(self._self_callbacks.added(callback))
        if not added:
            self._self_callbacks.ran()
        return added

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Add a callback of `grpc.aio.server`."""
        self.__wrapped__.add_done_callback(self._self_callbacks.added(callback))


def _context(context: Any, serving: Serving) -> _Context:
    own = _Context(context, serving)
    if not context.add_callback(own._self_callbacks.ran):  # noqa: SLF001  the call has already ended
        serving.scope.complete()
    return own


def _async_context(context: Any, serving: Serving) -> _Context:
    own = _Context(context, serving)
    context.add_done_callback(own._self_callbacks.ran)  # noqa: SLF001
    return own


def _called(serving: Serving, own: Behavior) -> Behavior:
    @wraps(own)
    def call(request: Any, context: Any, *more: Any) -> Any:
        context = _context(context, serving)
        with serving.step():
            return own(request, context, *more)

    return call


def _streamed(serving: Serving, own: Behavior) -> Behavior:
    @wraps(own)
    def stream(request: Any, context: Any, *more: Any) -> Any:
        context = _context(context, serving)
        with serving.step():
            answers = own(request, context, *more)
        return None if answers is None else _stepped(serving, iter(answers))

    return stream


def _stepped(serving: Serving, answers: Iterator[Any]) -> Iterator[Any]:
    try:
        while True:
            with serving.step():
                try:
                    answer = next(answers)
                except StopIteration:
                    return
            yield answer
    finally:
        if close := getattr(answers, "close", None):
            with serving.step():
                close()


def _async(serving: Serving, own: Behavior, *, streams: bool) -> Behavior:
    if inspect.isasyncgenfunction(own):
        return _async_streamed(serving, own)
    if inspect.iscoroutinefunction(own):
        return _async_called(serving, own)
    return (_streamed if streams else _called)(serving, own)  # the server runs plain functions in threads


def _yielding(own: Behavior, streams: bool) -> Behavior:
    """Convert a handler that writes its stream (`context.write`) to one that yields it."""
    if not streams or not inspect.iscoroutinefunction(own):
        return own

    @wraps(own)
    async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
        none: tuple[Any, ...] = ()  # makes this function a generator
        await own(request, context)
        for answer in none:
            yield answer

    return stream


def _async_called(serving: Serving, own: Behavior) -> Behavior:
    @wraps(own)
    async def call(request: Any, context: Any) -> Any:
        context = _async_context(context, serving)
        with serving.step():
            return await own(request, context)

    return call


def _async_streamed(serving: Serving, own: Behavior) -> Behavior:
    @wraps(own)
    async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
        answers = own(request, _async_context(context, serving))
        try:
            while True:
                with serving.step():
                    try:
                        answer = await anext(answers)
                    except StopAsyncIteration:
                        return
                yield answer
        finally:
            with serving.step():
                await answers.aclose()

    return stream
