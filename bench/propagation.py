"""Requests whose overrides are lost, or reach another, over many interleaved requests of every row of the table.

The services, clients and brokers are those of the conformance suite, with the SDK; each row is sent 10,000
requests, 32 at a time, one in five without overrides.
"""

import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from bench.options import Options
from bench.report import Row, skipped

_AT_ONCE: Final = 32


async def measure(options: Options) -> list[Row]:
    """Return how many leaked, and how many were lost, in all rows together."""
    suite = import_module("propagation.suite")
    requests = options.times(10_000, 50)
    leaked: list[str] = []
    lost: list[str] = []
    sent = rows = 0
    absent: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="detour-bench-") as folder:
        async with suite.open_suite(Path(folder)) as opened:
            for service in suite.services():
                if why := suite.why_not(service):
                    absent.append(skipped(f"{service.name}: interleaved requests", why))
                    continue
                async for client, outcome in opened.outcomes(service, requests, _AT_ONCE):
                    rows, sent = rows + 1, sent + requests
                    leaked += _told(service, client, outcome.leaked)
                    lost += _told(service, client, [*outcome.failed, *["lost"] * (outcome.lost + outcome.altered)])
    return [
        Row(
            f"overrides that leaked into another of {requests:,} interleaved requests a row, all rows",
            len(leaked),
            "",
            0,
            {"rows": rows, "requests": sent},
            "; ".join(leaked[:3]),
        ),
        Row("the same: lost or failed", len(lost), "", 0, note="; ".join(lost[:3])),
        *absent,
    ]


def _told(service: Any, client: str, what: list[str]) -> Iterator[str]:
    return (f"{service.name}, {client}: {one}" for one in what)
