"""Where the sidecar is that a service's calls go through: on this machine, as `http_proxy` has it.

In a pod that is injected transparently there is no such variable, and nothing to do.
"""

import os
import re
from functools import lru_cache
from typing import Final

_NAMES: Final = ("http_proxy", "HTTP_PROXY")
_PLAIN: Final = re.compile(r"(?:http|ws)://(?:[^/?#@]*@)?(\[[^\]]+\]|[^/?#:]*)(?::\d+)?(?:[/?#]|$)", re.IGNORECASE)
_LOOPBACK: Final = re.compile(r"localhost|.*\.localhost|127\.\d+\.\d+\.\d+|\[::1\]", re.IGNORECASE)


def address() -> str | None:
    """Return the proxy in the environment, if it is on this machine: only then is it taken for a sidecar."""
    proxy = next((found for name in _NAMES if (found := os.environ.get(name))), "")
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    host = _PLAIN.match(proxy)
    return proxy if host and _LOOPBACK.fullmatch(host[1]) else None


def proxy_for(url: str, base: str = "") -> str | None:
    """Return the proxy that a client should take which ignores the environment; None if it need not take any.

    TLS is none of a sidecar's business, nor are hosts on this machine and those in `no_proxy`.

    Args:
        url: What is called.
        base: What it is relative to.
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
