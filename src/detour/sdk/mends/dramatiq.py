"""Dramatiq, which OpenTelemetry does not support: overrides travel in a message's options, also on retries."""

from collections.abc import Callable
from contextlib import ExitStack
from contextvars import ContextVar
from types import ModuleType
from typing import Any, Final

from wrapt import wrap_function_wrapper

from detour.sdk.carriage import carried, under_carried

_OPTION: Final = "detour"

_added: ContextVar[dict[str, str] | None] = ContextVar("detour-dramatiq-added", default=None)
_handled: ContextVar[ExitStack | None] = ContextVar("detour-dramatiq-handled", default=None)


def mend(module: ModuleType) -> None:
    """Add a middleware to every broker that is created from here on, before all others."""

    class Carrying(module.Middleware):  # type: ignore[misc, name-defined]
        """Adds overrides to messages, and runs actors with them."""

        def before_enqueue(self, _broker: object, message: Any, _delay: object) -> None:
            if _OPTION not in message.options and (headers := carried()):
                message.options[_OPTION] = headers
                _added.set(headers)

        def after_enqueue(self, _broker: object, message: Any, _delay: object) -> None:
            # Some brokers send the service's own object, which the service may send again for another request.
            if _added.get() is not None and message.options.get(_OPTION) is _added.get():
                del message.options[_OPTION]
            _added.set(None)

        def before_process_message(self, _broker: object, message: Any) -> None:
            handled = ExitStack()
            handled.enter_context(under_carried(message.options.get(_OPTION) or {}))
            _handled.set(handled)

        def after_process_message(self, *_: object, **__: object) -> None:
            if handled := _handled.get():
                handled.close()
                _handled.set(None)

        after_skip_message = after_process_message

    def init(wrapped: Callable[..., None], broker: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        wrapped(*args, **kwargs)
        # Runs first before a message and last after it: messages that other middleware sends carry overrides, too.
        others = broker.middleware
        broker.add_middleware(Carrying(), **({"before": type(others[0])} if others else {}))

    wrap_function_wrapper(module, "Broker.__init__", init)
