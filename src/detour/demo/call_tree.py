"""What services answer: who answered, and what came of each call made for it, nested to the last hop.

As JSON, an answer is

    {"service": "users", "instance": "users-1", "deployment": "", "calls": [...]}

and each of its calls

    {"to": "users", "status": "200", "served_by": "users", "duration_ms": 4.1, "error": "", "answer": {...}}

So each hop has two witnesses: the instance, by its own word (`answer`), and the caller's sidecar (`served_by`).
A call that failed is an entry like any other, with its status, the reason in `error`, and `answer` null.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """An instance's word about itself, and the calls that it made to answer.

    Args:
        deployment: The offloaded deployment that the instance is part of; empty for the baseline.
    """

    service: str
    instance: str
    deployment: str = ""
    calls: tuple["Call", ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """What came of one call, as its caller saw it.

    Args:
        to: The service that was called.
        status: The HTTP status (`200`), the name of the gRPC status (`OK`), or `unreachable` when no response came.
        served_by: The response header `x-detour-served-by`: what the caller's sidecar says; "" without overrides.
        duration_ms: From the call's start to its end, in milliseconds.
        error: Why it failed, in the words of the response; empty if it did not.
        answer: What the called instance says; None if the call failed.
    """

    to: str
    status: str
    served_by: str
    duration_ms: float
    error: str = ""
    answer: Answer | None = None


Caller = Callable[[], Awaitable[Call]]
"""Calls one service, and never raises for what goes wrong on the way."""

Answerer = Callable[[], Awaitable[Answer]]
"""Answers one request, making the calls that this takes."""


def hops(call: Call, caller: str) -> Iterator[tuple[str, Call]]:
    """Go through a call and all that followed from it, as pairs of the calling service and the call."""
    yield caller, call
    for further in call.answer.calls if call.answer else ():
        yield from hops(further, call.to)


def elapsed_ms(start: float) -> float:
    """Return the milliseconds since `start`, a reading of `time.perf_counter`, to a tenth."""
    return round((perf_counter() - start) * 1000, 1)


def to_json(answer: Answer) -> dict[str, Any]:
    """Return the answer in the form above."""
    return asdict(answer)


def from_json(data: Mapping[str, Any]) -> Answer:
    """Read an answer in the form above.

    Raises:
        ValueError: It is not one.
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
