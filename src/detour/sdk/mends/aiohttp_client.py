"""aiohttp's client: OpenTelemetry omits requests that it does not trace.

The client also ignores `http_proxy`, even for WebSockets.
"""

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from wrapt import wrap_function_wrapper

from detour.sdk.propagator import BAGGAGE, outgoing
from detour.sdk.sidecar import proxy_for

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def mend(module: ModuleType) -> None:
    """Add overrides to each request, and send it through the sidecar."""
    wrap_function_wrapper(module, "ClientSession._prepare_headers", _prepare_headers)
    wrap_function_wrapper(module, "ClientSession._request", _request)


def _prepare_headers(wrapped: Callable[..., Any], _: object, args: Args, kwargs: Kwargs) -> Any:
    headers = wrapped(*args, **kwargs)
    if header := outgoing(",".join(headers.getall(BAGGAGE, ()))):
        headers[BAGGAGE] = header
    return headers


def _request(wrapped: Callable[..., Awaitable[Any]], session: Any, args: Args, kwargs: Kwargs) -> Awaitable[Any]:
    if kwargs.get("proxy") is None and not session.trust_env and _by_tcp(session):
        method, url, *others = args
        if proxy := proxy_for(str(url), base=str(getattr(session, "_base_url", None) or "")):
            args, kwargs = (method, _of_http(url), *others), {**kwargs, "proxy": proxy}
    return wrapped(*args, **kwargs)


def _of_http(url: Any) -> Any:
    """Return a WebSocket's URL with a scheme that proxies understand; other URLs do not change."""
    return f"http{str(url)[2:]}" if str(url)[:5].lower() == "ws://" else url


def _by_tcp(session: Any) -> bool:
    """Return whether a session has no proxy of its own and connects by TCP."""
    from aiohttp import TCPConnector  # noqa: PLC0415

    return getattr(session, "_default_proxy", None) is None and isinstance(session.connector, TCPConnector)
