"""What the SDK costs log calls that log nothing, on requests without overrides, as ratios.

This measures the CPU time of a call below the level, which a process repeats for some milliseconds under a context
with baggage of another application. One of two processes has installed the SDK, and has served a hundred requests
with their own log levels before; the other one has only OpenTelemetry's API. Each runs one slice per round, in
random order, and a ratio compares two slices of the same round. Processes are restarted several times in a run,
because the layout of their memory changes results by about a per cent.

This module is also the program of those processes.
"""

import io
import logging
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median, quantiles
from typing import Any, Final

import structlog
from opentelemetry import baggage
from opentelemetry.context import Context, attach, get_current

from bench.options import Options
from bench.report import Row

_LIBRARIES: Final = ("logging", "structlog", "structlog on logging")
_CANDIDATES: Final = ("without", "without again", "with", "installed", "in flight")
_SLICE_SECONDS: Final = 0.02
_ROUNDS_PER_START: Final = 24
_WARM_UP_ROUNDS: Final = 2
_SERVICE: Final = "rides"
_SERVED_BEFORE: Final = 100
_AT_ONCE: Final = 2000


async def measure(options: Options) -> list[Row]:
    """Return the ratios of CPU time per call."""
    return [row for library in _LIBRARIES for row in _rows(library, _slices(library, options.rounds))]


def _rows(library: str, slices: dict[str, list[float]]) -> list[Row]:
    what = f"a log call below the level, {library}"
    return [
        _ratio(f"{what}, with the SDK / without", slices, "with", at_most=1.05),
        _ratio(f"{what}, with the SDK before any request has had a level / without", slices, "installed"),
        _ratio(f"{what}, with another request's level in flight / without the SDK", slices, "in flight"),
        _ratio(f"{what}, identical processes, one / the other", slices, "without again"),
    ]


def _ratio(what: str, slices: dict[str, list[float]], above: str, at_most: float | None = None) -> Row:
    ratios = [one / other for one, other in zip(slices[above], slices["without"], strict=True)]
    low, _, high = quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
    more = {
        "quartile 1": low,
        "quartile 3": high,
        "ns": 1e9 * median(slices[above]),
        "to": 1e9 * median(slices["without"]),
        "rounds": len(ratios),
    }
    return Row(what, median(ratios), at_most=at_most, more=more)


def _slices(library: str, rounds: int) -> dict[str, list[float]]:
    """Return the seconds a call, by candidate, one for each round."""
    slices: dict[str, list[float]] = {name: [] for name in _CANDIDATES}
    for done in range(0, rounds, _ROUNDS_PER_START):
        with ExitStack() as stack:
            processes = {name: stack.enter_context(_process(library, name)) for name in _CANDIDATES}
            for turn in range(-_WARM_UP_ROUNDS, min(_ROUNDS_PER_START, rounds - done)):
                for name in random.sample(_CANDIDATES, len(_CANDIDATES)):
                    seconds = _asked(processes[name])
                    if turn >= 0:
                        slices[name].append(seconds)
    return slices


@contextmanager
def _process(library: str, candidate: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a candidate's process; it ends when its standard input does.

    Raises:
        RuntimeError: It found that it had not measured what it should.
    """
    command = [sys.executable, "-m", "bench.sdk_logs", library, candidate]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.stdin.close()  # type: ignore[union-attr]
            status = process.wait(10)
        if status:
            raise RuntimeError(f"{command} ended with {status}; run it by hand to see why")


def _asked(process: "subprocess.Popen[str]") -> float:
    """Have a process measure a slice.

    Raises:
        RuntimeError: It ended instead.
    """
    assert process.stdin
    assert process.stdout
    process.stdin.write("slice\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError(f"{process.args!r} ended; run it by hand to see why")
    return float(answer)


def _serve(library: str, candidate: str) -> None:
    """Be a candidate's process."""
    logger, lines = _logger(library)
    served = 0 if candidate.startswith("without") or candidate == "installed" else _SERVED_BEFORE
    if not candidate.startswith("without"):
        _install(logger, served)
    held = _level() if candidate == "in flight" else None
    attach(baggage.set_baggage("session.id", "8d0f7c5e"))
    for _ in sys.stdin:
        print(_slice(logger), flush=True)
    del held
    if lines.getvalue().count("the price is") != served:
        raise RuntimeError(f"{candidate}: unrequested lines were written, or requested ones are missing")


def _logger(library: str) -> tuple[Any, io.StringIO]:
    """Return a logger at WARNING, and where it writes."""
    lines = io.StringIO()
    logging.basicConfig(level=logging.WARNING, stream=lines)
    if library == "logging":
        return logging.getLogger("rides.pricing"), lines
    on_logging = library.endswith("logging")
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level] * on_logging + [structlog.processors.JSONRenderer()],
        wrapper_class=structlog.stdlib.BoundLogger
        if on_logging
        else structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.stdlib.LoggerFactory() if on_logging else structlog.PrintLoggerFactory(lines),
        cache_logger_on_first_use=True,
    )
    return structlog.get_logger("rides.pricing").bind(), lines


def _install(logger: Any, served: int) -> None:
    """Install the SDK, and serve requests with a level of their own, one behind the other."""
    import detour.sdk  # noqa: PLC0415 - a process without it is what is compared with

    detour.sdk.install(_SERVICE)
    for _ in range(served):
        with detour.sdk.using(f"log.{_SERVICE}=debug"):
            logger.debug("the price is %d", 7)


def _level() -> Context:
    """Return the context of a request with a level of its own, in flight as long as it is kept."""
    import detour.sdk  # noqa: PLC0415 - as above

    with detour.sdk.using(f"log.{_SERVICE}=debug"):
        return get_current()


def _slice(logger: Any) -> float:
    """Return the seconds of a call."""
    calls = 0
    began = time.thread_time()
    while time.thread_time() - began < _SLICE_SECONDS:
        for _ in range(_AT_ONCE):
            logger.debug("the price is %d", 7)
        calls += _AT_ONCE
    return (time.thread_time() - began) / calls


if __name__ == "__main__":
    _serve(*sys.argv[1:])
