"""Trials through the API, on a real edge with real sidecars behind it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from detour.mesh import Endpoint
from detour.server import ControlPlane
from detour.server.trials import by_baggage
from parts import MeshUnderTest, application, http_instance
from server.conftest import following

CLOSED_PORT = 1
"""A port that nothing listens on."""

MESH = """\
edge:
  hosts: {{staging.example.test: web}}
  previews: {{preview.example.test: web}}
  url: {url}
services:
  web: {{endpoints: ["{web}"]}}
  users:
    endpoints: ["{users}"]
    deployments:
      pr-42: {{endpoints: ["{offloaded}"]}}
"""


@dataclass
class Running:
    """A running mesh, its control plane's API, and the last request that the service web received."""

    mesh: MeshUnderTest
    http: httpx.AsyncClient
    plane: ControlPlane
    file: Path
    parts: dict[str, Endpoint]
    last: list[Request]
    url: str = ""

    async def edge(self, *, trusts: bool = True) -> None:
        """Start an edge."""
        await self.edge_at((await self.mesh.edge(trust_overrides=trusts)).port)

    async def edge_at(self, port: int) -> None:
        """Say in the mesh file where the edge is."""
        self.url = f"http://127.0.0.1:{port}"
        self.file.write_text(MESH.format(url=self.url, **self.parts))
        await until(lambda: self.plane.mesh.settings.edge_url == self.url)

    async def attempt(self, **body: object) -> dict:
        """Try a request, by default on the mesh's own host."""
        answer = await self.http.post("/v1/trials", json={"host": "staging.example.test", **body})
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def running(plane: ControlPlane, http, mesh_file: Path, tmp_path: Path) -> AsyncIterator[Running]:
    """Run web, which calls users through its own sidecar, and users with its deployment; an edge is added later."""
    async with AsyncExitStack() as stack:
        mesh = MeshUnderTest(plane.ads, await plane.ads.start("127.0.0.1:0"), tmp_path, stack)
        client = await mesh.sidecar(service="web", instance="web-1")
        last: list[Request] = []

        async def answer(request: Request) -> Response:
            last.append(request)
            if request.url.path == "/long":
                return PlainTextResponse("é" * 20_000)
            lines = {"baggage": ",".join(request.headers.getlist("baggage"))}
            called = await client.get("http://users/me", headers=lines)
            body = {"said": (await request.body()).decode(), "called": called.text}
            return JSONResponse(body, called.status_code, {"set-cookie": "a=secret", "x-own": "1"})

        every = ["GET", "POST"]
        app = Starlette(routes=[Route("/{path:path}", answer, methods=every)])
        parts = {
            "web": await stack.enter_async_context(application(app)),
            "users": await stack.enter_async_context(http_instance("users-1")),
            "offloaded": await stack.enter_async_context(http_instance("users-pr-42")),
        }
        await stack.enter_async_context(following(plane))
        made = Running(mesh, http, plane, mesh_file, parts, last)
        await made.edge_at(CLOSED_PORT)
        yield made


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


async def test_each_hop_is_reported(running: Running) -> None:
    """Caller, service, server, duration and parent."""
    await running.edge()
    tried = await running.attempt(overrides={"route.users": "pr-42"}, path="/rides?a=1")
    assert (tried["status"], tried["note"], tried["truncated"]) == (200, "", False)
    assert tried["url"] == "http://staging.example.test/rides?a=1"
    assert "users-pr-42" in tried["body"]
    assert tried["headers"]["x-own"] == "1"
    assert "set-cookie" not in tried["headers"]
    first, second = tried["hops"]
    assert (first["caller"], first["service"], first["served_by"]) == ("edge", "web", "web")
    assert (first["method"], first["path"], first["status"]) == ("GET", "/rides?a=1", 200)
    assert (first["parent"], first["offset_ms"], second["parent"]) == (None, 0, 0)
    assert (second["caller"], second["caller_instance"], second["path"]) == ("web", "web-1", "/me")
    assert (second["service"], second["deployment"], second["served_by"]) == ("users", "pr-42", "users@pr-42")
    assert 0 < second["duration_ms"] < first["duration_ms"] <= tried["duration_ms"] * 2
    assert tried["expected"] == [{"service": "users", "deployment": "pr-42", "reached": True}]


async def test_the_sent_request(running: Running) -> None:
    """Has the requested method, headers and body, except for connection headers."""
    await running.edge()
    headers = {"X-Own": "2", "Host": "evil.test", "Content-Length": "1000", "Transfer-Encoding": "chunked"}
    tried = await running.attempt(method="POST", path="/a", headers=headers, body="hällo")
    assert '"said":"hällo"' in tried["body"]
    assert running.last[-1].headers["x-own"] == "2"
    assert running.last[-1].headers["host"] == "staging.example.test"
    assert running.plane.reports.trials._under_way == {}


async def test_deployments_that_were_not_reached(running: Running) -> None:
    """A service that was never called, and a deployment that no longer exists."""
    await running.edge()
    tried = await running.attempt(overrides={"route.users": "gone", "route.payments": "pr-1"})
    assert tried["status"] == 503
    assert tried["hops"][1]["why"] == "no instance is ready"
    assert [one["reached"] for one in tried["expected"]] == [False, False]
    assert "users=gone: users has no deployment gone" in tried["note"]
    typo = await running.attempt(overrides={"override.route.user": "pr-42"})
    assert "user=pr-42: the mesh has no service user; did you mean users=pr-42?" in typo["note"]


async def test_an_edge_that_trusts_only_tokens(running: Running) -> None:
    """Accepts the server's own signature."""
    await running.edge(trusts=False)
    tried = await running.attempt(overrides={"route.users": "pr-42"})
    assert tried["note"] == ""
    assert [(hop["caller"], hop["served_by"]) for hop in tried["hops"]] == [("edge", "web"), ("web", "users@pr-42")]
    assert "x-detour-token" not in running.last[-1].headers


async def test_an_edge_without_keys(running: Running) -> None:
    """The first hop is known from its response; the note says that the others are missing."""
    running.plane.trials.headers_for = by_baggage
    await running.edge(trusts=False)
    tried = await running.attempt(overrides={"route.users": "pr-42"})
    assert "does not trust" in tried["note"]
    assert "had no effect" in tried["note"]
    (hop,) = tried["hops"]
    assert (hop["caller"], hop["service"], hop["status"], hop["parent"]) == ("edge", "web", 200, None)
    assert tried["expected"] == [{"service": "users", "deployment": "pr-42", "reached": None}]


@pytest.mark.parametrize("trusts", [True, False])
async def test_in_a_scenario(running: Running, *, trusts: bool) -> None:
    """The edge adds its overrides, and their deployments are among the expected ones."""
    await running.edge(trusts=trusts)
    body = {"overrides": {"route.users": "pr-42"}}
    assert (await running.http.put("/v1/scenarios/checkout", json=body, headers={"if-none-match": "*"})).is_success

    async def is_known() -> dict:
        while (tried := await running.attempt(scenario="checkout"))["status"] == 404:
            pass
        return tried

    async with asyncio.timeout(20):
        tried = await is_known()
    assert tried["headers"]["x-detour-scenario"] == "checkout"
    assert [one["served_by"] for one in tried["hops"]] == ["web", "users@pr-42"]
    assert tried["expected"] == [{"service": "users", "deployment": "pr-42", "reached": True}]
    answer = await running.http.post("/v1/trials", json={"scenario": "unknown"})
    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")


async def test_headers_with_which_an_edge_accepts_overrides(running: Running) -> None:
    """The control plane chooses them, from overrides with the trial's id."""
    await running.edge()
    running.plane.trials.headers_for = lambda overrides: {**by_baggage(overrides), "x-token": str(len(overrides))}
    tried = await running.attempt(overrides={"route.users": "pr-42"})
    assert running.last[-1].headers["x-token"] == "2"
    assert len(tried["hops"]) == 2


async def test_a_long_response(running: Running) -> None:
    """Is cut off after 16 kB."""
    await running.edge()
    tried = await running.attempt(path="/long")
    assert (tried["truncated"], len(tried["body"].encode())) == (True, 16 * 1024)


async def test_hosts(running: Running) -> None:
    """Hosts that the edge serves are sent; all others are replaced by the edge's own."""
    await running.edge()
    for host in ("preview.example.test", "staging.example.test:8443", "STAGING.example.test:99999"):
        assert (await running.attempt(host=host))["status"] == 200
    for host in ("169.254.169.254", "users", "staging.example.test@evil.test", "a b", "\r\nx: y", "", None):
        tried = await running.attempt(host=host)
        assert (tried["url"], tried["status"]) == (f"{running.url}/", 404)


async def test_without_an_edge(running: Running) -> None:
    """The error says what is missing: an edge at the address, or the address."""
    answer = await running.http.post("/v1/trials", json={})
    assert (answer.status_code, answer.json()["title"]) == (502, "Bad Gateway")
    assert f"no edge answers at {running.url}" in answer.json()["detail"]


async def test_without_the_address_of_an_edge(http) -> None:
    """The error says what to add to the mesh file."""
    answer = await http.post("/v1/trials", json={})
    assert (answer.status_code, answer.json()["title"]) == (409, "Conflict")
    assert "edge: {url:" in answer.json()["detail"]
    for body in (
        {"path": "evil.test"},
        {"path": "/\r\n"},
        {"method": "CONNECT"},
        {"headers": {"a b": "c"}},
        {"x": 1},
    ):
        assert (await http.post("/v1/trials", json=body)).status_code == 422
    long = {f"config.f{number}": "x" * 1000 for number in range(9)}
    assert (await http.post("/v1/trials", json={"overrides": long})).status_code == 422


async def test_calls(running: Running) -> None:
    """Are listed, and subscribers receive an event."""
    await running.edge()
    with running.plane.events.subscribed() as subscription:
        await running.attempt(overrides={"route.users": "pr-42"})
        async with asyncio.timeout(20):
            while not {one.kind for one in await subscription.next(20)} & {"calls"}:
                pass
    async with asyncio.timeout(20):
        while len(found := (await running.http.get("/v1/calls")).json()["items"]) < 2:
            await asyncio.sleep(0.01)
    assert all(one.pop("last").endswith("Z") for one in found)
    plain = {"caller_deployment": None, "requests": 1, "errors": 0}
    assert found == [
        {"caller": "edge", "service": "web", "deployment": None, **plain},
        {"caller": "web", "service": "users", "deployment": "pr-42", **plain},
    ]
