"""A mesh that runs, behind a page: an edge that trusts nobody, web, which calls what its path names, the rest."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from detour.database import Database
from detour.mesh import Endpoint
from detour.offload.registry import Registry
from detour.server import ControlPlane
from detour.server.api import api
from detour.server.identities import Identities
from parts import Client, MeshUnderTest, application
from server.conftest import control_plane

HOST = "staging.example.test"

MESH = """\
edge:
  hosts: {{{host}: web}}{url}
services:
  web: {{endpoints: ["{web}"]}}
  users:
    endpoints: ["{users}"]
    deployments:
      pr-42: {{endpoints: ["{offloaded}"], owner: ana}}
  search:
    endpoints: ["{search}"]
    deployments:
      pr-9: {{endpoints: ["{offloaded}"]}}
  payments: {{endpoints: ["127.0.0.1:1"]}}
"""


@dataclass
class Staging:
    """The mesh, its control plane, and the address of the page."""

    plane: ControlPlane
    file: Path
    parts: dict[str, Endpoint]
    edge: Client = field(init=False)
    url: str = ""

    async def say_where_the_edge_is(self, url: str) -> None:
        """Write it into the mesh file; nowhere if it is empty."""
        line = f"\n  url: {url}" if url else ""
        self.file.write_text(MESH.format(host=HOST, url=line, **self.parts))
        await until(lambda: self.plane.mesh.settings.edge_url == url)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def staging(folder: Path) -> AsyncIterator[Staging]:
    """Run all of it."""
    file = folder / "mesh" / "mesh.yaml"
    file.parent.mkdir()
    file.write_text("services: {}\n")
    async with AsyncExitStack() as stack:
        registry = stack.enter_context(Registry(folder / "state.db"))
        database = stack.enter_context(Database(f"sqlite:///{folder}/scenarios.db"))
        plane = control_plane(file, registry, database)
        stack.push_async_callback(plane.ads.stop)
        following = asyncio.create_task(plane.follow())
        stack.push_async_callback(_ended, following)
        port = await plane.ads.start("127.0.0.1:0")
        mesh = MeshUnderTest(plane.ads, port, folder, stack)
        sidecar = await mesh.sidecar(service="web", instance="web-1")
        apps = {
            "web": _web(sidecar),
            "users": _answering("users-1"),
            "search": _answering("search-1"),
            "offloaded": _answering("offloaded-1"),
        }
        parts = {name: await stack.enter_async_context(application(app)) for name, app in apps.items()}
        made = Staging(plane, file, parts)
        made.edge = await mesh.edge(trust_overrides=False)
        made.edge.headers["host"] = HOST
        page = await stack.enter_async_context(application(api(plane, Identities(None, None))))
        made.url = f"http://{page}"
        await made.say_where_the_edge_is(f"http://127.0.0.1:{made.edge.port}")
        yield made


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


def _web(sidecar: httpx.AsyncClient) -> Starlette:
    """Answer `/users/me` with what users says to `/me`."""

    async def answer(request: Request) -> Response:
        lines = {"baggage": ",".join(request.headers.getlist("baggage"))}
        called = await sidecar.get(f"http:/{request.url.path}", headers=lines)
        return PlainTextResponse(called.text, called.status_code)

    return Starlette(routes=[Route("/{path:path}", answer)])


def _answering(name: str) -> Starlette:
    """Answer who it is; `/broken` is."""

    async def answer(request: Request) -> Response:
        return JSONResponse({"instance": name}, 500 if request.url.path == "/broken" else 200)

    return Starlette(routes=[Route("/{path:path}", answer)])
