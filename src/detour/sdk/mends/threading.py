"""Threads: under gevent, OpenTelemetry's instrumentation has timers do nothing.

It wraps `run` of `threading.Thread`, which is gevent's own subclass then and has none, so the wrapper stands before
the `run` of the standard library's `Timer` in the order in which gevent's `Timer` finds its methods.
"""

from types import ModuleType
from typing import Any

from opentelemetry.context import attach, detach, get_current


def mend(module: ModuleType) -> None:
    """Have gevent's timers run, under the context that they were started in; others do."""
    timer: Any = module.Timer
    original: Any = next((one for one in timer.__mro__[1:] if one.__name__ == timer.__name__), None)
    if original is None:
        return

    def run(self: Any) -> None:
        token = attach(getattr(self, "_otel_context", None) or get_current())  # where the instrumentation keeps it
        try:
            original.run(self)
        finally:
            detach(token)

    timer.run = run
