"""The badge on pages in a scenario, put there by a real edge."""

import gzip
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import MappingProxyType

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from detour.mesh import Scenarios, ScenariosApplied, Service, Settings
from detour.overrides import parse_words
from parts import Client, MeshUnderTest, application, running_mesh

PAGE = "<!doctype html><html><head><title>Rides</title></head><BODY class='a'>\n<p>Rides</p></body></html>"
NAVIGATION = {"accept": "text/html,application/xhtml+xml", "sec-fetch-dest": "document"}
IN = {"x-detour-scenario": "checkout"}


async def page(request: Request) -> Response:
    """Answer with a page, compressed for who takes that."""
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(gzip.compress(PAGE.encode()), headers={"content-encoding": "gzip"}, media_type="text/html")
    return HTMLResponse(PAGE)


async def streamed(_request: Request) -> Response:
    """Answer with a long page, in parts."""

    async def parts() -> AsyncIterator[str]:
        yield PAGE.removesuffix("</body></html>")
        for number in range(2_000):
            yield f"<p>{number} {'x' * 100}</p>"
        yield "</body></html>"

    return StreamingResponse(parts(), media_type="text/html; charset=utf-8")


async def data(_request: Request) -> Response:
    """Answer with no page."""
    return JSONResponse({"html": "<body>"})


@pytest.fixture
async def edge(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """Run an edge before a web application."""
    has_badge = getattr(request, "param", True)
    routes = [Route("/", page), Route("/streamed", streamed), Route("/data", data)]
    async with AsyncExitStack() as stack:
        web = await stack.enter_async_context(application(Starlette(routes=routes)))
        settings = Settings(edge_hosts=MappingProxyType({"*": "web"}), edge_badge=has_badge)
        running = running_mesh(tmp_path, [Service("web", (web,))], settings=settings)
        mesh: MeshUnderTest = await stack.enter_async_context(running)
        live = MappingProxyType({"checkout": parse_words(["payments=pr-42"])})
        mesh.apply(ScenariosApplied(Scenarios(live)))
        yield await mesh.edge(trust_overrides=False)


async def test_a_page_in_a_scenario(edge: Client) -> None:
    """Names it and leads out of it; the rest of the page is as it was, on whatever way one came in."""
    for way in (IN, {"cookie": "detour=checkout"}, {**IN, "baggage": "a=1"}):
        answer = await edge.get("/", headers={**NAVIGATION, **way})
        before, badge, after = answer.text.partition("</aside>")
        assert badge, answer.text
        start = before.index('<link rel="stylesheet" href="/.detour/badge.css"><aside')
        assert before[:start] + after == PAGE
        assert "In the scenario <b>checkout</b>" in before
        assert '<a href="?detour=">leave</a>' in before
        assert int(answer.headers.get("content-length", len(answer.content))) == len(answer.content)


async def test_a_long_page(edge: Client) -> None:
    """Is passed on as it comes, with one badge."""
    answer = await edge.get("/streamed", headers={**NAVIGATION, **IN})
    assert answer.text.count("<aside") == 1
    assert answer.text.count("<p>") == 2_001
    assert answer.text.endswith("</body></html>")


async def test_its_style(edge: Client) -> None:
    """Comes from the edge itself, in a scenario only."""
    answer = await edge.get("/.detour/badge.css", headers=IN)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert ".detour-badge" in answer.text
    assert (await edge.get("/.detour/badge.css")).status_code == 404


async def test_what_is_no_page(edge: Client) -> None:
    """Stays as it is: data, what a page loads, what is compressed, and everything outside a scenario."""
    assert (await edge.get("/data", headers={**NAVIGATION, **IN})).json() == {"html": "<body>"}
    part = await edge.get("/", headers={**IN, "sec-fetch-dest": "empty", "accept-encoding": "gzip"})
    assert (part.headers["content-encoding"], part.text) == ("gzip", PAGE)
    assert (await edge.get("/", headers=NAVIGATION)).text == PAGE
    head = await edge.request("HEAD", "/", headers={**NAVIGATION, **IN})
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize("edge", [False], indirect=True)
async def test_who_wants_none(edge: Client) -> None:
    """Gets none: it is the mesh's choice."""
    assert (await edge.get("/", headers={**NAVIGATION, **IN, "accept-encoding": "identity"})).text == PAGE
