"""aiohttp's server: OpenTelemetry's middleware takes the trace from a request's headers, and leaves the baggage."""

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from opentelemetry import propagate
from opentelemetry.context import attach, detach
from opentelemetry.propagators.textmap import Getter
from wrapt import wrap_function_wrapper


class _Getter(Getter[Any]):
    """Reads aiohttp's headers, which may have several lines of one name."""

    def get(self, carrier: Any, key: str) -> list[str] | None:
        return carrier.getall(key, None)  # type: ignore[no-any-return]

    def keys(self, carrier: Any) -> list[str]:
        return list(carrier)


_GETTER = _Getter()


def mend(module: ModuleType) -> None:
    """Put a middleware before all others of every application that is made from here on."""
    from aiohttp.web_middlewares import middleware  # noqa: PLC0415

    carry = middleware(_carry)

    def init(wrapped: Callable[..., None], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        kwargs["middlewares"] = (carry, *kwargs.get("middlewares", ()))
        wrapped(*args, **kwargs)

    wrap_function_wrapper(module, "Application.__init__", init)


async def _carry(request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
    token = attach(propagate.extract(request.headers, getter=_GETTER))
    try:
        return await handler(request)
    finally:
        detach(token)
