"""What every service does first: OpenTelemetry as its documentation says, with or without Detour's SDK."""

import os
from functools import cache
from importlib.metadata import entry_points


@cache
def set_up() -> None:
    """Set up tracing and propagation, once, before any library is imported."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    trace.set_tracer_provider(TracerProvider())
    if os.environ["DETOUR_SDK"] == "on":
        import detour.sdk

        detour.sdk.install()
    else:
        _instrument()


def _instrument() -> None:
    """Switch on every instrumentation that is installed, as `opentelemetry-instrument` does."""
    for found in entry_points(group="opentelemetry_instrumentor"):
        try:
            found.load()().instrument()
        except ImportError:
            continue  # a library that this service does not use
