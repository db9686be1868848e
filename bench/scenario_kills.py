"""Scenarios that were acknowledged and are not there, when the server is killed again and again under write load.

Eight writers make and change scenarios, back to back, by the API of one server, on SQLite and then on a real
PostgreSQL. The server is killed (SIGKILL) in the middle of it, and started again. After each kill every version
that was acknowledged since the last one is read again, and at the end every version of all; one that is missing, or
that says something else than what was acknowledged, is lost.
"""

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

import httpx

from bench.from_tests import from_tests
from bench.mesh import bench_mesh
from bench.options import Options
from bench.report import Row, skipped
from bench.server import Server

_KILLS: Final = 300
_WRITERS: Final = 8
_BETWEEN_KILLS_SECONDS: Final = (0.05, 0.5)
_READ_AT_ONCE: Final = 16

_Version = tuple[str, int]


@dataclass(slots=True)
class _Outcome:
    """What was acknowledged, and what of it is not there.

    Args:
        acknowledged: Name and version to the deployment that it names.
        lost: In words.
    """

    acknowledged: dict[_Version, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)


async def measure(options: Options) -> list[Row]:
    """Return how many acknowledged versions were lost, on each kind of database."""
    kills = options.times(_KILLS, 3)
    rows = [_row("SQLite", kills, await _outcome("", kills))]
    postgresql = from_tests("postgresql")
    if why := postgresql.why_not():
        return [*rows, skipped(_what("PostgreSQL", kills), why)]
    with (
        tempfile.TemporaryDirectory(prefix="detour-postgresql-") as folder,
        postgresql.running(Path(folder)) as url,
    ):
        return [*rows, _row("PostgreSQL", kills, await _outcome(f"{url}/postgres", kills))]


def _what(database: str, kills: int) -> str:
    return f"acknowledged writes of scenarios lost over {kills} kill -9 of the server under write load, {database}"


def _row(database: str, kills: int, outcome: _Outcome) -> Row:
    more = {"acknowledged": len(outcome.acknowledged)}
    return Row(_what(database, kills), len(outcome.lost), "", 0, more, "; ".join(outcome.lost[:3]))


async def _outcome(database: str, kills: int) -> _Outcome:
    outcome, checked = _Outcome(), set[_Version]()
    async with bench_mesh() as mesh:
        server = await mesh.server(database=database)
        for turn in range(kills):
            async with _writing(server, outcome, turn):
                await asyncio.sleep(random.uniform(*_BETWEEN_KILLS_SECONDS))
                await server.kill()
            await server.start()
            await _check(server, outcome, outcome.acknowledged.keys() - checked)
            checked |= outcome.acknowledged.keys()
        await _check(server, outcome, checked)
    return outcome


@asynccontextmanager
async def _writing(server: Server, outcome: _Outcome, turn: int) -> AsyncIterator[None]:
    """Write until the context is left and the server does not answer any more."""
    async with asyncio.TaskGroup() as tasks:
        for writer in range(_WRITERS):
            tasks.create_task(_write(server, outcome, f"w{turn}-{writer}"))
        yield


async def _write(server: Server, outcome: _Outcome, name: str) -> None:
    """Make a scenario, and change it, until the server is gone."""
    for version in count(1):
        deployment = f"pr-{random.randrange(10**9)}"
        condition = {"if-match": f'"{version - 1}"'} if version > 1 else {"if-none-match": "*"}
        body = {"overrides": {"route.users": deployment}}
        try:
            answer = await server.api.put(f"/v1/scenarios/{name}", json=body, headers=condition)
        except httpx.TransportError:
            return
        answer.raise_for_status()
        outcome.acknowledged[name, version] = deployment


async def _check(server: Server, outcome: _Outcome, versions: set[_Version]) -> None:
    turns = asyncio.Semaphore(_READ_AT_ONCE)

    async def check(name: str, version: int) -> None:
        async with turns:
            answer = await server.api.get(f"/v1/scenarios/{name}/versions/{version}")
        expected = {"route.users": outcome.acknowledged[name, version]}
        if not answer.is_success or answer.json()["overrides"] != expected:
            outcome.lost.append(f"{name}, version {version}: {answer.text[:100]}")

    async with asyncio.TaskGroup() as tasks:
        for one in versions:
            tasks.create_task(check(*one))
