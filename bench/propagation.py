"""Requests whose overrides are lost, or reach another, over many interleaved requests of every row of the table.

The services, clients and brokers are those of the conformance suite, with the SDK; each row is sent 10,000
requests, 32 at a time, one in five without overrides. Rows with a queue are a part of their own, because they take
hours.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bench.from_tests import from_tests
from bench.options import Options
from bench.report import Row, skipped

_AT_ONCE: Final = 32
_ROWS: Final = {False: "rows without a queue", True: "rows with a queue"}


async def measure(options: Options, *, queues: bool) -> list[Row]:
    """Return how many leaked, and how many were lost, in all rows together.

    Args:
        options: How thoroughly to measure.
        queues: Whether the rows are those with a queue, or those without.
    """
    suite = from_tests("propagation.suite")
    requests = options.times(10_000, 50)
    console = Console(stderr=True, highlight=False)
    leaked: list[str] = []
    lost: list[str] = []
    rows = 0
    absent: dict[str, None] = {}
    with tempfile.TemporaryDirectory(prefix="detour-bench-") as folder:
        async with suite.open_suite(Path(folder)) as opened:
            for _, service in suite.services():
                chosen = [client for client in service.clients if bool(suite.brokers(service, [client])) == queues]
                missing = {client: why for client in chosen if (why := suite.why_not(service, client))}
                absent.update(dict.fromkeys(f"{service.name}: {why}" for why in missing.values()))
                clients = [client for client in chosen if client not in missing]
                async for client, outcome in opened.outcomes(service, clients, requests, _AT_ONCE):
                    console.print(f"[dim]{service.name}, {client}: {outcome.verdict}[/]")
                    rows += 1
                    leaked += _told(service, client, outcome.leaked)
                    lost += _told(service, client, [*outcome.failed, *["lost"] * (outcome.lost + outcome.altered)])
    return [
        Row(
            f"Overrides that leaked into another of {requests:,} interleaved requests a row, {_ROWS[queues]}",
            len(leaked),
            "",
            0,
            {"rows": rows, "requests": rows * requests},
            "; ".join(leaked[:3]),
        ),
        Row("The same: lost or failed", len(lost), "", 0, note="; ".join(lost[:3])),
        *(skipped("Rows that did not run", why) for why in absent),
    ]


def _told(service: Any, client: str, what: list[str]) -> Iterator[str]:
    return (f"{service.name}, {client}: {one}" for one in what)
