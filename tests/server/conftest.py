"""A control plane with a real mesh file and a real registry, and its API, called in the test's process."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from detour.access import Identity, Role, Via
from detour.database import Database
from detour.discovery.mesh_file import read
from detour.offload.registry import Registry
from detour.server import ControlPlane
from detour.server.api import api
from detour.server.followed_database import FollowedDatabase
from detour.server.keyring import KeyRing
from detour.server.scenario_book import ScenarioBook
from detour.server.sources import MeshFile, Registered
from detour.server.switch import DatabaseSwitch

ADMIN = Identity("ops", Role.ADMIN, Via.LOCAL)
"""The caller of operations that are called in the test's own process."""

MESH = """\
services:
  users:
    endpoints: ["127.0.0.1:9001"]
    deployments:
      filed: {endpoints: ["127.0.0.1:9002"], owner: ops}
  payments:
    endpoints: ["127.0.0.1:9003"]
    protocol: http2
"""

WITH_DATABASE = (
    MESH
    + """\
  db:
    endpoints: ["127.0.0.1:5432"]
    protocol: tcp
"""
)


@pytest.fixture
def mesh_file(tmp_path: Path) -> Path:
    """Write a mesh file: users, with the deployment `filed`, and payments."""
    path = tmp_path / "mesh" / "mesh.yaml"
    path.parent.mkdir()
    path.write_text(MESH)
    return path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return the path of the registry."""
    return tmp_path / "state.db"


@pytest.fixture
def registry(state: Path) -> Iterator[Registry]:
    """Return an empty registry."""
    with Registry(state) as opened:
        yield opened


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Return an empty database."""
    with Database(f"sqlite:///{tmp_path}/scenarios.db") as opened:
        yield opened


def control_plane(mesh_file: Path, registry: Registry, database: Database | None = None) -> ControlPlane:
    """Return a control plane with a file, a registry and a database, wired as the server does."""
    registered = Registered(registry)
    records = FollowedDatabase(database) if database else None
    keyring, book = (KeyRing(records), ScenarioBook(records)) if records else (None, None)
    sources = [MeshFile(mesh_file, read(mesh_file)), registered]
    switch = DatabaseSwitch(records) if records else None
    return ControlPlane(sources, registered, book=book, keyring=keyring, switch=switch)


@asynccontextmanager
async def following(plane: ControlPlane) -> AsyncIterator[None]:
    """Run a control plane's tasks; if they fail early, raise their error."""
    task = asyncio.create_task(plane.follow())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def plane(mesh_file: Path, registry: Registry, database: Database) -> AsyncIterator[ControlPlane]:
    """Return a control plane whose tasks do not run."""
    made = control_plane(mesh_file, registry, database)
    await made.book.database.write(lambda: None)  # takes over that there is a key
    yield made
    await made.ads.stop()


@pytest.fixture
def app(plane: ControlPlane) -> FastAPI:
    """Return its API."""
    return api(plane)


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of the API that checks every response against the OpenAPI document."""
    described = app.openapi()

    async def check(response: httpx.Response) -> None:
        await response.aread()
        if response.is_error:
            assert response.headers["content-type"] == "application/problem+json"
            reported = response.json()
            assert reported.keys() == {"type", "title", "status", "detail"}
            assert reported["status"] == response.status_code
        if responses := responses_of(described, response.request):
            assert str(response.status_code) in responses
            content = responses[str(response.status_code)].get("content", {"": None})
            assert response.headers.get("content-type", "") in content

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", event_hooks={"response": [check]}
    ) as client:
        yield client


def responses_of(described: dict, request: httpx.Request) -> dict | None:
    """Find the documented responses of a request; None if the document does not have the request."""
    for path, operations in described["paths"].items():
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), request.url.path):
            return operations.get(request.method.lower(), {}).get("responses")
    return None
