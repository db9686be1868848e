"""aiohttp's server: OpenTelemetry's middleware reads the trace from a request's headers, but not the baggage.

Middleware has returned before the response is written: its signals are sent, and its body is generated, afterwards.
"""

from types import ModuleType

from wrapt import wrap_function_wrapper

from detour.sdk.serving import handled


def mend(module: ModuleType) -> None:
    """Handle and answer each request with its overrides."""
    wrap_function_wrapper(module, "RequestHandler._handle_request", handled)
