"""aiohttp's server: OpenTelemetry's middleware takes the trace from a request's headers, and leaves the baggage.

No middleware sees a response being written: its signals are sent, and its body is made, when all have returned.
"""

from types import ModuleType

from wrapt import wrap_function_wrapper

from detour.sdk.serving import handled


def mend(module: ModuleType) -> None:
    """Have each request handled, and answered, with its overrides."""
    wrap_function_wrapper(module, "RequestHandler._handle_request", handled)
