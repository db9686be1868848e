"""http.client, on which urllib.request, urllib3, requests and botocore are based.

OpenTelemetry writes headers on a higher level, for requests that it traces. This mend adds overrides to all others.
"""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final

from wrapt import wrap_function_wrapper

from detour.sdk.propagator import BAGGAGE, outgoing

_NAME: Final = BAGGAGE.encode()


def mend(module: ModuleType) -> None:
    """Add overrides to each request."""
    wrap_function_wrapper(module, "HTTPConnection.endheaders", _end_headers)


def _end_headers(
    wrapped: Callable[..., Any], connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    buffer = getattr(connection, "_buffer", [])  # the lines so far, without line ends
    if header := outgoing(",".join(_values(buffer))):
        buffer[:] = [line for line in buffer if _name(line) != _NAME]
        connection.putheader(BAGGAGE, header.encode("latin-1"))
    return wrapped(*args, **kwargs)


def _values(lines: list[bytes]) -> Iterator[str]:
    return (line.partition(b":")[2].strip().decode("latin-1") for line in lines if _name(line) == _NAME)


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].lower()
