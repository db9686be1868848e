"""The address of the sidecar that a service's calls go through: on this machine, from `http_proxy`.

In a pod with transparent injection this variable is not set, and nothing has to be done.
"""

import os
import re
from functools import lru_cache
from typing import Final

_NAMES: Final = ("http_proxy", "HTTP_PROXY")
_PLAIN: Final = re.compile(r"(?:http|ws)://(?:[^/?#@]*@)?(\[[^\]]+\]|[^/?#:]*)(?::\d+)?(?:[/?#]|$)", re.IGNORECASE)
_LOOPBACK: Final = re.compile(r"localhost|.*\.localhost|127\.\d+\.\d+\.\d+|\[::1\]", re.IGNORECASE)


def address() -> str | None:
    """Return the proxy from the environment if it is on this machine; others are not taken for a sidecar."""
    proxy = next((found for name in _NAMES if (found := os.environ.get(name))), "")
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    host = _PLAIN.match(proxy)
    return proxy if host and _LOOPBACK.fullmatch(host[1]) else None


def proxy_for(url: str, base: str = "") -> str | None:
    """Return the proxy for a client that ignores the environment; None if it needs none.

    The sidecar does not handle TLS, hosts on this machine, and hosts in `no_proxy`.

    Args:
        url: The URL to call.
        base: The base of a relative URL.
    """
    proxy = address()
    if proxy is None:
        return None
    called = _PLAIN.match(url) or (_PLAIN.match(base) if "://" not in url else None)
    if called is None or _LOOPBACK.fullmatch(called[1]):
        return None
    return None if _bypassed(called[1], os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))) else proxy


@lru_cache(maxsize=1024)
def _bypassed(host: str, no_proxy: str) -> bool:
    from urllib.request import proxy_bypass  # noqa: PLC0415  slow to import

    return bool(no_proxy) and bool(proxy_bypass(host))
