"""A mesh that runs, behind a page: an edge that trusts nobody, web, which calls what its path names, the rest."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from detour.mesh import Endpoint
from detour.server import ControlPlane
from parts import Client, MeshUnderTest, application
from web.in_process import page_of, plane_of, served, until

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


@asynccontextmanager
async def staging(folder: Path) -> AsyncIterator[Staging]:
    """Run all of it."""
    file = folder / "mesh" / "mesh.yaml"
    file.parent.mkdir()
    file.write_text("services: {}\n")
    async with AsyncExitStack() as stack:
        plane = await stack.enter_async_context(plane_of(file))
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
        made.url = (await stack.enter_async_context(served(page_of(plane)))).url
        await made.say_where_the_edge_is(f"http://127.0.0.1:{made.edge.port}")
        yield made


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
