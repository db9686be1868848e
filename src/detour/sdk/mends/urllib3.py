"""urllib3: a PoolManager ignores `http_proxy`.

Libraries based on urllib3, such as requests and botocore, use its connections directly and are not affected.
"""

from collections.abc import Callable
from typing import Any, Final

from wrapt import wrap_function_wrapper

from detour.sdk.sidecar import proxy_for

_BY_SIDECAR: Final = "_detour_by_sidecar"


def mend(module: Any) -> None:
    """Send the requests of a plain manager through the sidecar."""

    def urlopen(wrapped: Callable[..., Any], own: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        url = args[1] if len(args) > 1 else kwargs.get("url")
        proxy = proxy_for(url) if type(own) is module.PoolManager and isinstance(url, str) else None
        return (
            wrapped(*args, **kwargs) if proxy is None else _by_sidecar(module, own, proxy).urlopen(*args, **kwargs)
        )

    wrap_function_wrapper(module, "PoolManager.urlopen", urlopen)


def _by_sidecar(module: Any, own: Any, proxy: str) -> Any:
    """Return the proxy manager that replaces a manager; it lives as long as that one."""
    found = vars(own).get(_BY_SIDECAR)
    if found is None:
        kwargs = {name: value for name, value in own.connection_pool_kw.items() if not name.startswith("_proxy")}
        found = module.ProxyManager(proxy, num_pools=own.pools._maxsize, headers=own.headers, **kwargs)  # noqa: SLF001
        setattr(own, _BY_SIDECAR, found)
    return found
