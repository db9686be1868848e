"""Requests whose overrides are lost, or reach another, over many interleaved requests of every row of the table.

The services, clients and brokers are those of the conformance suite, with the SDK; each row is sent 10,000
requests, 32 at a time, one in five without overrides. It is measured section by section of the table, because all
of it takes hours.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bench.from_tests import from_tests
from bench.options import Options
from bench.report import Row, skipped

SECTIONS: Final = {
    "propagation-python": "Python",
    "propagation-to-queues": "Python, to queues",
    "propagation-from-queues": "Python, from queues",
    "propagation-queue-to-queue": "Python, from queues to queues",
    "propagation-go": "Go",
    "propagation-typescript": "TypeScript",
}
"""The benchmark's parts, and the sections of the table that they measure."""

_AT_ONCE: Final = 32


async def measure(section: str, options: Options) -> list[Row]:
    """Return how many leaked, and how many were lost, in all rows of a section together."""
    suite = from_tests("propagation.suite")
    requests = options.times(10_000, 50)
    console = Console(stderr=True, highlight=False)
    leaked: list[str] = []
    lost: list[str] = []
    rows = 0
    absent: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="detour-bench-") as folder:
        async with suite.open_suite(Path(folder)) as opened:
            for service in suite.SECTIONS[section]:
                if why := suite.why_not(service):
                    absent.append(skipped(f"{service.name}: interleaved requests", why))
                    continue
                async for client, outcome in opened.outcomes(service, requests, _AT_ONCE):
                    console.print(f"[dim]{service.name}, {client}: {outcome.verdict}[/]")
                    rows += 1
                    leaked += _told(service, client, outcome.leaked)
                    lost += _told(service, client, [*outcome.failed, *["lost"] * (outcome.lost + outcome.altered)])
    return [
        Row(
            f"{section}: overrides that leaked into another of {requests:,} interleaved requests a row",
            len(leaked),
            "",
            0,
            {"rows": rows, "requests": rows * requests},
            "; ".join(leaked[:3]),
        ),
        Row("the same: lost or failed", len(lost), "", 0, note="; ".join(lost[:3])),
        *absent,
    ]


def _told(service: Any, client: str, what: list[str]) -> Iterator[str]:
    return (f"{service.name}, {client}: {one}" for one in what)
