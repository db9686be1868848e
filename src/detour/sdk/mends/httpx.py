"""httpx: OpenTelemetry instruments httpx's own transports only, and omits requests that it does not trace.

It writes into the request, which a service may send again for another incoming one. Clients that ignore the
environment (`trust_env`) bypass the sidecar.
"""

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from wrapt import wrap_function_wrapper

from detour.sdk.propagator import BAGGAGE, outgoing
from detour.sdk.sidecar import address, proxy_for

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def mend(module: ModuleType) -> None:
    """Send a copy of a request that must carry overrides, by any transport, through the sidecar."""
    for client, choosing in (("Client", _choosing(module)), ("AsyncClient", _choosing_async(module))):
        wrap_function_wrapper(module, f"{client}.__init__", _init(choosing))
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
    """Return a copy of a request that must carry overrides, with them; other requests do not change."""
    header = outgoing(request.headers.get(BAGGAGE, ""))
    if header is None:
        return request
    own = object.__new__(type(request))  # `copy` would omit the body
    vars(own).update(vars(request))
    own.headers = request.headers.copy()
    own.headers[BAGGAGE] = header
    return own


def _answering(response: Any, request: Any) -> Any:
    response.request = request
    return response


def _init(choosing: Callable[..., Any]) -> Callable[..., None]:
    """Return an initializer that uses the sidecar if a client ignores the environment and has no transport."""

    def init(wrapped: Callable[..., None], _: object, args: Args, kwargs: Kwargs) -> None:
        if kwargs.get("trust_env", True) or any(kwargs.get(name) for name in ("transport", "proxy", "mounts")):
            wrapped(*args, **kwargs)
        elif proxy := address():
            wanted = {name: kwargs[name] for name in ("limits", "http1", "http2") if name in kwargs}
            wrapped(*args, **{**kwargs, "mounts": {"http://": choosing(proxy, wanted)}})
        else:
            wrapped(*args, **kwargs)

    return init


def _choosing(module: Any) -> Callable[..., Any]:
    class Choosing(module.BaseTransport):  # type: ignore[misc]
        """Sends each request through the sidecar, or directly."""

        def __init__(self, proxy: str, wanted: Kwargs) -> None:
            self._by_sidecar = module.HTTPTransport(proxy=proxy, trust_env=False, **wanted)
            self._directly = module.HTTPTransport(trust_env=False, **wanted)

        def handle_request(self, request: Any) -> Any:
            return (self._by_sidecar if proxy_for(str(request.url)) else self._directly).handle_request(request)

        def close(self) -> None:
            self._by_sidecar.close()
            self._directly.close()

    return Choosing


def _choosing_async(module: Any) -> Callable[..., Any]:
    class Choosing(module.AsyncBaseTransport):  # type: ignore[misc]
        """The same on asyncio."""

        def __init__(self, proxy: str, wanted: Kwargs) -> None:
            self._by_sidecar = module.AsyncHTTPTransport(proxy=proxy, trust_env=False, **wanted)
            self._directly = module.AsyncHTTPTransport(trust_env=False, **wanted)

        async def handle_async_request(self, request: Any) -> Any:
            transport = self._by_sidecar if proxy_for(str(request.url)) else self._directly
            return await transport.handle_async_request(request)

        async def aclose(self) -> None:
            await self._by_sidecar.aclose()
            await self._directly.aclose()

    return Choosing
