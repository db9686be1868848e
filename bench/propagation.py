"""Requests whose overrides are lost, or reach another, over many interleaved requests of every row of the table.

The services, clients and brokers are those of the conformance suite, with the SDK. Each row is sent requests, 32 at
a time, one in five without overrides. Rows with a queue are a part of their own, because they take hours.
"""

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bench.from_tests import from_tests
from bench.options import Options
from bench.report import Row, skipped

_AT_ONCE: Final = 32
_SERVICES_AT_ONCE: Final = 2
_ROWS: Final = {False: "rows without a queue", True: "rows with a queue"}


@dataclass
class _Tally:
    """What became of the overrides of all rows.

    Args:
        requests: How many each row is sent.
        rows: How many rows ran.
        leaked: Requests that left with another's overrides, in words.
        lost: Requests whose overrides did not leave as they came, or that failed, in words.
        absent: Why rows did not run.
    """

    requests: int
    rows: int = 0
    leaked: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    absent: set[str] = field(default_factory=set)

    def add(self, row: str, outcome: Any) -> None:
        """Add a row's outcome."""
        self.rows += 1
        self.leaked += [f"{row}: {one}" for one in outcome.leaked]
        self.lost += [f"{row}: {one}" for one in outcome.failed]
        self.lost += [row] * (outcome.lost + outcome.altered)


async def measure(options: Options, *, queues: bool) -> list[Row]:
    """Return how many leaked, and how many were lost, in all rows together.

    Args:
        options: How thoroughly to measure.
        queues: Whether the rows are those with a queue, or those without.
    """
    suite = from_tests("propagation.suite")
    tally = _Tally(options.times(options.requests, 50))
    turns = asyncio.Semaphore(_SERVICES_AT_ONCE)
    with tempfile.TemporaryDirectory(prefix="detour-bench-") as folder:
        async with suite.open_suite(Path(folder)) as opened, asyncio.TaskGroup() as tasks:
            for service in suite.services():
                clients = [one for one in service.clients if bool(suite.brokers(service, [one])) == queues]
                tasks.create_task(_measure(tally, opened, service, clients, turns))
    what = f"Overrides that leaked into another of {tally.requests:,} interleaved requests a row, {_ROWS[queues]}"
    return [
        Row(
            what,
            len(tally.leaked),
            "",
            0,
            {"rows": tally.rows, "requests": tally.rows * tally.requests},
            "; ".join(tally.leaked[:3]),
        ),
        Row("The same: lost or failed", len(tally.lost), "", 0, note="; ".join(tally.lost[:3])),
        *(skipped("Rows that did not run", why) for why in sorted(tally.absent)),
    ]


async def _measure(tally: _Tally, opened: Any, service: Any, clients: list[str], turns: asyncio.Semaphore) -> None:
    suite = from_tests("propagation.suite")
    console = Console(stderr=True, highlight=False)
    async with turns:
        missing = {client: why for client in clients if (why := suite.why_not(service, client))}
        tally.absent.update(f"{service.name}: {why}" for why in missing.values())
        present = [client for client in clients if client not in missing]
        if not present:
            return
        async for client, outcome in opened.outcomes(service, present, tally.requests, _AT_ONCE):
            console.print(f"[dim]{service.name}, {client}: {outcome.verdict}[/]")
            tally.add(f"{service.name}, {client}", outcome)
