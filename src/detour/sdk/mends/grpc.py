"""gRPC: OpenTelemetry's interceptors omit callbacks, and calls that they do not trace.

They also fail if a server's interceptors are passed by position.
"""

from collections.abc import Callable, Iterable
from functools import partial
from types import ModuleType
from typing import Any, Final

from wrapt import register_post_import_hook, wrap_function_wrapper

from detour.sdk.mends.grpc_servers import async_interceptor, interceptor, yielding_interceptor
from detour.sdk.propagator import BAGGAGE, outgoing
from detour.sdk.serving import bound

_INTERCEPTORS_POSITION: Final = 2

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
Make = Callable[..., Any]


def mend(module: ModuleType) -> None:
    """Serve and make calls with their overrides, and run callbacks with those of the code that adds them."""
    wrap_function_wrapper(module, "server", _by_name)
    wrap_function_wrapper("grpc._server", "create_server", _with_first(interceptor(module)))
    wrap_function_wrapper("grpc._channel", "_MultiThreadedRendezvous.add_done_callback", bound)
    wrap_function_wrapper("grpc._channel", "_Rendezvous.add_callback", bound)
    wrap_function_wrapper("grpc._compression", "augment_metadata", _augment)
    register_post_import_hook(_mend_asyncio, "grpc.aio")


def _mend_asyncio(module: ModuleType) -> None:
    def init_metadata(wrapped: Make, _: object, args: Args, kwargs: Kwargs) -> Any:
        metadata = wrapped(*args, **kwargs)
        pairs = _outgoing(metadata)
        return metadata if pairs is None else module.Metadata(*pairs)  # the service's own object does not change

    wrap_function_wrapper(module, "server", partial(_by_name, first=yielding_interceptor(module)))
    wrap_function_wrapper("grpc.aio._server", "Server.__init__", _with_first(async_interceptor(module)))
    wrap_function_wrapper("grpc.aio._call", "Call.add_done_callback", bound)
    wrap_function_wrapper("grpc.aio._channel", "_BaseMultiCallable._init_metadata", init_metadata)


def _by_name(wrapped: Make, _: object, args: Args, kwargs: Kwargs, *, first: object = None) -> Any:
    """Create a server with its interceptors passed by name, as OpenTelemetry expects, and `first` before them."""
    if len(args) > _INTERCEPTORS_POSITION:
        names = ("interceptors", "options", "maximum_concurrent_rpcs", "compression", "xds")
        kwargs = {**dict(zip(names, args[_INTERCEPTORS_POSITION:], strict=False)), **kwargs}
    if first is not None:
        kwargs["interceptors"] = [first, *(kwargs.get("interceptors") or ())]
    return wrapped(*args[:_INTERCEPTORS_POSITION], **kwargs)


def _with_first(first: object) -> Make:
    """Return a function that creates a server with this interceptor before all others.

    OpenTelemetry inserts its own interceptor first, too. Behind it, a call's overrides would replace what it has
    read.
    """

    def make(wrapped: Make, _: object, args: Args, kwargs: Kwargs) -> Any:
        before, others, after = (
            args[:_INTERCEPTORS_POSITION],
            args[_INTERCEPTORS_POSITION],
            args[_INTERCEPTORS_POSITION + 1 :],
        )
        return wrapped(*before, (first, *others), *after, **kwargs)

    return make


def _augment(wrapped: Make, _: object, args: Args, kwargs: Kwargs) -> Any:
    metadata, *others = args
    pairs = _outgoing(metadata or ())
    return wrapped(metadata if pairs is None else pairs, *others, **kwargs)


def _outgoing(metadata: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]] | None:
    """Return a call's metadata with its overrides; None if it contains them already, or there are none."""
    header = outgoing(",".join(value for key, value in metadata if key == BAGGAGE))
    if header is None:
        return None
    return [*((key, value) for key, value in metadata if key != BAGGAGE), (BAGGAGE, header)]
