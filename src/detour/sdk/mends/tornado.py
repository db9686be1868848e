"""Tornado's server and clients: OpenTelemetry omits requests that it does not trace.

A handler's `_execute` lasts as long as the request or the WebSocket.
"""

from collections.abc import Awaitable, Callable
from copy import copy
from types import MappingProxyType, ModuleType
from typing import Any, Final

from wrapt import wrap_function_wrapper

from detour.sdk.propagator import BAGGAGE, outgoing
from detour.sdk.serving import HEADERS, begin

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def mend(module: ModuleType) -> None:
    """Serve each request with its overrides, and add overrides to the clients' requests."""
    name, wrapper = _METHODS[module.__name__]
    wrap_function_wrapper(module, name, wrapper)


async def _execute(wrapped: Callable[..., Awaitable[Any]], handler: Any, args: Args, kwargs: Kwargs) -> Any:
    lines = {name: handler.request.headers.get_list(name) for name in HEADERS}
    serving = begin({name: ",".join(found) for name, found in lines.items() if found})
    if serving is None:
        return await wrapped(*args, **kwargs)
    with serving.whole():
        return await wrapped(*args, **kwargs)


def _call(wrapped: Callable[..., Any], _: object, args: Args, kwargs: Kwargs) -> Any:
    own = args[0]  # represents the service's request in this call
    own.request = _carrying(own.request)
    return wrapped(*args, **kwargs)


def _carrying(request: Any) -> Any:
    """Return a copy of a request with its overrides; the service may send the original again."""
    header = outgoing(",".join(request.headers.get_list(BAGGAGE)))
    if header is None:
        return request
    request = copy(request)
    request.headers = request.headers.copy()
    request.headers[BAGGAGE] = header
    return request


_METHODS: Final = MappingProxyType(
    {
        "tornado.curl_httpclient": ("CurlAsyncHTTPClient.fetch_impl", _call),
        "tornado.simple_httpclient": ("SimpleAsyncHTTPClient.fetch_impl", _call),
        "tornado.web": ("RequestHandler._execute", _execute),
        "tornado.websocket": ("WebSocketClientConnection.__init__", _call),
    }
)
