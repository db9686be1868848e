"""aiohttp's client: OpenTelemetry leaves out what it does not trace.

It ignores `http_proxy`, for WebSockets too.
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
    """Have each request carry its overrides, by the sidecar."""
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
    """Return a WebSocket's URL as a proxy understands it; any other stays what it is."""
    return f"http{str(url)[2:]}" if str(url)[:5].lower() == "ws://" else url


def _by_tcp(session: Any) -> bool:
    """Say whether a session has no proxy of its own, and connects to addresses."""
    from aiohttp import TCPConnector  # noqa: PLC0415

    return getattr(session, "_default_proxy", None) is None and isinstance(session.connector, TCPConnector)
