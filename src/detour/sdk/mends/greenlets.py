"""Raw greenlets: each starts with an empty context.

Invariant: a greenlet that is made within a request runs under that request's context, of which nothing but
OpenTelemetry's part is handed on; and what was a greenlet before is one still, to `isinstance` too.
"""

import sys
from contextvars import Context
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from opentelemetry.context import attach, get_current


def mend(module: ModuleType) -> None:
    """Have `greenlet.greenlet` hand the context on.

    gevent's C types are made of greenlet's own type, so they come first: gevent's mend calls `replace`.
    """
    if "gevent" in sys.modules:
        return
    if find_spec("gevent") is None:
        replace(module)
    else:
        import_module("gevent")


def replace(module: ModuleType) -> None:
    """Put a type that hands the context on in the place of greenlet's own."""
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
    """Have a greenlet that has not begun run under the current context, if there is any."""
    current = get_current()
    if current:
        context = Context()
        context.run(attach, current)
        greenlet.gr_context = context
