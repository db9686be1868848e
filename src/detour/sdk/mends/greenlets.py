"""Raw greenlets: each starts with an empty context.

Invariant: a greenlet that is created within a request runs in that request's context, limited to OpenTelemetry's
part. Everything that was a greenlet before still is one, also for `isinstance`.
"""

import sys
from contextvars import Context
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from opentelemetry.context import attach, get_current


def mend(module: ModuleType) -> None:
    """Make `greenlet.greenlet` pass the context on.

    gevent's C types derive from greenlet's own type, so they must be created first: gevent's mend calls `replace`.
    """
    if "gevent" in sys.modules:
        return
    if find_spec("gevent") is None:
        replace(module)
    else:
        import_module("gevent")


def replace(module: ModuleType) -> None:
    """Replace greenlet's own type by one that passes the context on."""
    original: Any = module.greenlet

    class Kind(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, original) if cls is carrying else type.__instancecheck__(cls, instance)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, original) if cls is carrying else type.__subclasscheck__(cls, subclass)

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original.__init__(self, *args, **kwargs)
        hand_on(self)

    carrying = Kind("greenlet", (original,), {"__slots__": (), "__init__": __init__, "__doc__": original.__doc__})
    carrying.__module__ = original.__module__
    module.greenlet = carrying  # type: ignore[attr-defined]


def hand_on(greenlet: Any) -> None:
    """Make a greenlet that has not started run in the current context, if there is one."""
    current = get_current()
    if current:
        context = Context()
        context.run(attach, current)
        greenlet.gr_context = context
