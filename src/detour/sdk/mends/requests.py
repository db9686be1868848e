"""requests: OpenTelemetry writes into a prepared request, which a service may send again for another incoming one.

Sessions that ignore the environment (`trust_env`) bypass the sidecar.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from wrapt import wrap_function_wrapper

from detour.sdk.propagator import BAGGAGE, outgoing
from detour.sdk.sidecar import proxy_for


def mend(_: ModuleType) -> None:
    """Send a copy of a request that must carry overrides, through the sidecar."""
    wrap_function_wrapper("requests.sessions", "Session.send", _send)


def _send(wrapped: Callable[..., Any], session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    request, *others = args
    if not (session.trust_env or session.proxies or kwargs.get("proxies")) and (proxy := proxy_for(request.url)):
        kwargs = {**kwargs, "proxies": {"http": proxy}}
    if header := outgoing((request.headers or {}).get(BAGGAGE, "")):
        request = request.copy()
        request.headers[BAGGAGE] = header
    return wrapped(request, *others, **kwargs)
