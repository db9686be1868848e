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


def proxy_for(url: str, base: str = "") -> str | None:
    """Return the proxy that a client should take which ignores the environment; None if it need not take any.

    Only a proxy on this machine is taken for a sidecar. TLS is none of its business, nor are hosts on this machine
    and those in `no_proxy`.

    Args:
        url: What is called.
        base: What it is relative to.
    """
    proxy = next((found for name in _NAMES if (found := os.environ.get(name))), "")
    if not proxy or not _is_local(proxy):
        return None
    called = _PLAIN.match(url) or (_PLAIN.match(base) if "://" not in url else None)
    if called is None or _LOOPBACK.fullmatch(called[1]):
        return None
    return None if _bypassed(called[1], os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))) else proxy


def _is_local(proxy: str) -> bool:
    found = _PLAIN.match(proxy if "://" in proxy else f"http://{proxy}")
    return found is not None and _LOOPBACK.fullmatch(found[1]) is not None


@lru_cache(maxsize=1024)
def _bypassed(host: str, no_proxy: str) -> bool:
    from urllib.request import proxy_bypass  # noqa: PLC0415  slow to import

    return bool(no_proxy) and bool(proxy_bypass(host))
