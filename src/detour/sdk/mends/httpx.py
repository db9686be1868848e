"""httpx: OpenTelemetry knows its own transports, and leaves out what it does not trace.

It writes into the request, which a service may send again for another one.
"""

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from wrapt import wrap_function_wrapper

from detour.sdk.propagator import BAGGAGE, outgoing

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def mend(module: ModuleType) -> None:
    """Send a copy of a request that is to carry overrides, by whatever transport."""
    wrap_function_wrapper(module, "Client._send_single_request", _send)
    wrap_function_wrapper(module, "AsyncClient._send_single_request", _send_async)


def _send(wrapped: Callable[..., Any], _: object, args: Args, kwargs: Kwargs) -> Any:
    request = args[0] if args else kwargs["request"]
    own = _own(request)
    if own is request:
        return wrapped(*args, **kwargs)
    return _answering(wrapped(own), request)


async def _send_async(wrapped: Callable[..., Awaitable[Any]], _: object, args: Args, kwargs: Kwargs) -> Any:
    request = args[0] if args else kwargs["request"]
    own = _own(request)
    if own is request:
        return await wrapped(*args, **kwargs)
    return _answering(await wrapped(own), request)


def _own(request: Any) -> Any:
    """Return a copy of a request that is to carry overrides, with them; any other stays what it is."""
    header = outgoing(request.headers.get(BAGGAGE, ""))
    if header is None:
        return request
    own = object.__new__(type(request))  # `copy` would leave out the body
    vars(own).update(vars(request))
    own.headers = request.headers.copy()
    own.headers[BAGGAGE] = header
    return own


def _answering(response: Any, request: Any) -> Any:
    response.request = request
    return response
