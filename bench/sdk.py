"""What the Python SDK costs a service: reading overrides, and importing it.

Reading is timed many times over in one process, importing in fresh interpreters, from the moment when the API of
OpenTelemetry is there. Medians: interruptions by other programs are not a cost of the SDK.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Final

from opentelemetry import baggage
from opentelemetry.context import Context, attach, detach

from bench.options import Options
from bench.report import Row
from bench.spread import spread
from detour.sdk import current

_CALLS: Final = 10_000
_OVERRIDES: Final = 5
_IMPORT: Final = """
import time
import opentelemetry.baggage, opentelemetry.context, opentelemetry.propagate, opentelemetry.trace
before = time.perf_counter()
import detour.sdk
print((time.perf_counter() - before) * 1000)
"""


async def measure(options: Options) -> list[Row]:
    """Return microseconds a read, and milliseconds an import."""
    tries = options.times(100, 5)
    team = baggage.set_baggage("team", "rides", Context())
    imports = [_import_ms() for _ in range(options.times(40, 5))]
    return [
        _row("`current()` on a request without baggage", _reads(Context(), tries), 1),
        _row("`current()` on a request with other people's baggage alone", _reads(team, tries)),
        _row("`current()` with 5 overrides, first read", _first_reads(tries), 20),
        _row("`current()` with 5 overrides, every further read", _reads(_request(0), tries)),
        Row("`import detour.sdk` beyond opentelemetry-api", median(imports), "ms", 30, spread(imports, 50, 90)),
    ]


def _row(what: str, microseconds: list[float], at_most: float | None = None) -> Row:
    return Row(what, median(microseconds), "µs", at_most, spread(microseconds, 50, 90))


def _request(number: int) -> Context:
    """Return the context of a request whose overrides no other has."""
    context = Context()
    for index in range(_OVERRIDES):
        context = baggage.set_baggage(f"override.route.service-{index}", f"pr-{number}-{index}", context)
    return context


def _reads(context: Context, tries: int) -> list[float]:
    return [_each(context, lambda: [current() for _ in range(_CALLS)]) / _CALLS for _ in range(tries)]


def _first_reads(tries: int) -> list[float]:
    return [_each(_request(number), current) for number in range(1, 20 * tries + 1)]


def _each(context: Context, work: Callable[[], object]) -> float:
    """Return the microseconds that it takes within the context."""
    token = attach(context)
    try:
        start = time.perf_counter()
        work()
        return (time.perf_counter() - start) * 1e6
    finally:
        detach(token)


def _import_ms() -> float:
    ran = subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, text=True, check=True)
    return float(ran.stdout)
