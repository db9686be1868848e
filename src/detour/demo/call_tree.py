"""The responses of demo services: which instance answered, and the result of each call it made, recursively.

As JSON, an answer is

    {"service": "users", "instance": "users-1", "deployment": "", "calls": [...]}

and each of its calls

    {"to": "users", "status": "200", "served_by": "users", "duration_ms": 4.1, "error": "", "answer": {...}}

So each hop is reported twice: by the instance itself (`answer`) and by the caller's sidecar (`served_by`).
A failed call is an entry too, with its status, the reason in `error`, and `answer` null.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """An instance's report about itself, and the calls that it made.

    Args:
        deployment: The offloaded deployment of the instance; empty for the baseline.
    """

    service: str
    instance: str
    deployment: str = ""
    calls: tuple["Call", ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """The result of one call, as its caller saw it.

    Args:
        to: The service that was called.
        status: The HTTP status (`200`), the name of the gRPC status (`OK`), or `unreachable` without a response.
        served_by: The response header `x-detour-served-by`, set by the caller's sidecar; "" without overrides.
        duration_ms: The duration of the call in milliseconds.
        error: The error in the response; empty if the call succeeded.
        answer: The report of the called instance; None if the call failed.
    """

    to: str
    status: str
    served_by: str
    duration_ms: float
    error: str = ""
    answer: Answer | None = None


Caller = Callable[[], Awaitable[Call]]
"""Calls one service; failures are part of the result and never raise."""

Answerer = Callable[[], Awaitable[Answer]]
"""Answers one request, including the calls that this needs."""


def hops(call: Call, caller: str) -> Iterator[tuple[str, Call]]:
    """Yield a call and all calls below it, as pairs of the calling service and the call."""
    yield caller, call
    for further in call.answer.calls if call.answer else ():
        yield from hops(further, call.to)


def elapsed_ms(start: float) -> float:
    """Return the milliseconds since `start`, a reading of `time.perf_counter`, to a tenth."""
    return round((perf_counter() - start) * 1000, 1)


def to_json(answer: Answer) -> dict[str, Any]:
    """Return the answer in the JSON form above."""
    return asdict(answer)


def from_json(data: Mapping[str, Any]) -> Answer:
    """Parse an answer in the JSON form above.

    Raises:
        ValueError: It has another form.
    """
    try:
        calls = tuple(_call(call) for call in data["calls"])
        return Answer(str(data["service"]), str(data["instance"]), str(data["deployment"]), calls)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the answer of a demo service: {error!r} in {data!r:.200}") from error


def _call(data: Mapping[str, Any]) -> Call:
    answer = data["answer"]
    return Call(
        to=str(data["to"]),
        status=str(data["status"]),
        served_by=str(data["served_by"]),
        duration_ms=float(data["duration_ms"]),
        error=str(data["error"]),
        answer=None if answer is None else from_json(answer),
    )
