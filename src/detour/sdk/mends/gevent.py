"""gevent: greenlets of `spawn`, of pools and of thread pools start with an empty context."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

from opentelemetry.context import Context, attach, detach, get_current
from wrapt import register_post_import_hook, wrap_function_wrapper

from detour.sdk.mends import greenlets


def mend(module: ModuleType) -> None:
    """Run everything that gevent starts within a request in the request's context."""
    own = module.Greenlet

    class Greenlet(own):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            greenlets.hand_on(self)

    Greenlet.__module__, Greenlet.__qualname__, Greenlet.__doc__ = own.__module__, own.__qualname__, own.__doc__
    for name, value in (
        ("Greenlet", Greenlet),
        ("spawn", Greenlet.spawn),
        ("spawn_later", Greenlet.spawn_later),
    ):
        setattr(module, name, value)
    import_module("gevent.greenlet").Greenlet = Greenlet  # type: ignore[attr-defined]
    wrap_function_wrapper(module, "spawn_raw", _started)
    register_post_import_hook(partial(_mend_pools, Greenlet), "gevent.pool")
    register_post_import_hook(_mend_thread_pools, "gevent.threadpool")
    greenlets.replace(import_module("greenlet"))


def _mend_pools(greenlet: type, module: ModuleType) -> None:
    group: Any = module.Group
    group.greenlet_class = greenlet
    for name in ("imap", "imap_unordered"):  # each creates a greenlet of its own type
        wrap_function_wrapper(module, f"Group.{name}", _started)


def _started(wrapped: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    greenlet = wrapped(*args, **kwargs)
    greenlets.hand_on(greenlet)
    return greenlet


def _mend_thread_pools(module: ModuleType) -> None:
    wrap_function_wrapper(module, "ThreadPool.spawn", _spawn)


def _spawn(wrapped: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return wrapped(_under, get_current(), *args, **kwargs)


def _under(context: Context, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    token = attach(context)
    try:
        return function(*args, **kwargs)
    finally:
        detach(token)
