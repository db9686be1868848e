"""Scenarios that a server has acknowledged survive when it is killed (`kill -9`) while it writes."""

import asyncio
import signal
from itertools import count

import httpx
import pytest

from cli.running import serving
from databases import KINDS, new_url, postgresql_server

__all__ = ["new_url", "postgresql_server"]

KILLS = 2
WRITERS = 4
ACKNOWLEDGED = 20


@pytest.mark.parametrize("kind", KINDS)
async def test_acknowledged_versions_survive(tmp_path, new_url, kind):
    """With their content, on both kinds of database."""
    mesh = tmp_path / "mesh" / "mesh.yaml"
    mesh.parent.mkdir()
    mesh.write_text("services: {}")
    url = new_url(kind)
    acknowledged: dict[tuple[str, int], str] = {}
    for turn in range(KILLS):
        with serving(mesh, "--database", url) as server:
            await check(server.url, acknowledged)
            async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
                for writer in range(WRITERS):
                    tasks.create_task(write(server.url, f"w{turn}-{writer}", acknowledged))
                while len(acknowledged) < (turn + 1) * ACKNOWLEDGED:
                    await asyncio.sleep(0.001)
                server.command.end(signal.SIGKILL)
    with serving(mesh, "--database", url) as server:
        await check(server.url, acknowledged)
    assert len(acknowledged) >= KILLS * ACKNOWLEDGED


async def write(url: str, name: str, acknowledged: dict[tuple[str, int], str]) -> None:
    """Create and change a scenario until the server is killed."""
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        for version in count(1):
            condition = {"if-match": f'"{version - 1}"'} if version > 1 else {"if-none-match": "*"}
            body = {"overrides": {"route.users": f"pr-{version}"}}
            try:
                answer = await http.put(f"/v1/scenarios/{name}", json=body, headers=condition)
            except httpx.TransportError:
                return
            assert answer.is_success, answer.text
            acknowledged[name, version] = f"pr-{version}"


async def check(url: str, acknowledged: dict[tuple[str, int], str]) -> None:
    """Read every version that was acknowledged."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http:
        for (name, version), deployment in acknowledged.items():
            answer = await http.get(f"/v1/scenarios/{name}/versions/{version}")
            assert answer.is_success, answer.text
            assert answer.json()["overrides"] == {"route.users": deployment}
