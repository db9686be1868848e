"""websockets, which OpenTelemetry does not support: overrides travel in the handshake, for the whole connection."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from types import ModuleType
from typing import Any

from wrapt import register_post_import_hook, wrap_function_wrapper

from detour.sdk.propagator import BAGGAGE, outgoing
from detour.sdk.serving import HEADERS, begin

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def mend(module: ModuleType) -> None:
    """Add overrides to handshakes, and handle a server's connections with them."""
    wrap_function_wrapper(module, "ClientProtocol.send_request", _send_request)
    register_post_import_hook(_mend_asyncio, "websockets.asyncio.server")
    register_post_import_hook(_mend_sync, "websockets.sync.server")


def _send_request(wrapped: Callable[..., None], _: object, args: Args, kwargs: Kwargs) -> None:
    request = args[0] if args else kwargs["request"]
    lines = request.headers.get_all(BAGGAGE)
    if header := outgoing(",".join(lines)):
        if lines:
            del request.headers[BAGGAGE]
        request.headers[BAGGAGE] = header
    wrapped(*args, **kwargs)


def _mend_asyncio(module: ModuleType) -> None:
    wrap_function_wrapper(module, "serve", _serve_asyncio)


def _mend_sync(module: ModuleType) -> None:
    wrap_function_wrapper(module, "serve", _serve)


def _serve_asyncio(wrapped: Callable[..., Any], _: object, args: Args, kwargs: Kwargs) -> Any:
    handler, *others = args

    @wraps(handler)
    async def handle(connection: Any) -> None:
        with _serving(connection):
            await handler(connection)

    return wrapped(handle, *others, **kwargs)


def _serve(wrapped: Callable[..., Any], _: object, args: Args, kwargs: Kwargs) -> Any:
    handler, *others = args

    @wraps(handler)
    def handle(connection: Any) -> None:
        with _serving(connection):
            handler(connection)

    return wrapped(handle, *others, **kwargs)


def _serving(connection: Any) -> AbstractContextManager[None]:
    headers = connection.request.headers
    serving = begin({name: ",".join(lines) for name in HEADERS if (lines := headers.get_all(name))})
    return nullcontext() if serving is None else serving.whole()
