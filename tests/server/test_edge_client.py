"""The server's own client of the edge: what it sends, where, and how much of the answer it keeps."""

import gzip
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from detour.mesh import Settings
from detour.server import edge_client
from detour.server.edge_client import Answer, EdgeUnreachableError, TrialRequest, send, service_behind
from parts import application


@asynccontextmanager
async def edge(answer: Callable[[], Response]) -> AsyncIterator[tuple[Settings, list[Request]]]:
    """Run something that answers in the place of an edge; yield settings with its address, and what it was sent."""
    seen: list[Request] = []

    async def take(request: Request) -> Response:
        await request.body()
        seen.append(request)
        return answer()

    routes = [Route("/{path:path}", take, methods=["GET", "POST"])]
    async with application(Starlette(routes=routes)) as at:
        yield Settings(edge_hosts={"app.test": "web"}, edge_url=f"http://{at}"), seen


async def answered(response: Response, **request: object) -> Answer:
    """Return what is kept of an answer."""
    async with edge(lambda: response) as (settings, _):
        return await send(TrialRequest(**request), settings, {})


OWN = {
    "Accept-Encoding": "gzip",
    "Baggage": "override.route.web=evil",
    "Connection": "close",
    "Content-Length": "7",
    "Expect": "100-continue",
    "Host": "evil.test",
    "Keep-Alive": "timeout=1",
    "Proxy-Connection": "close",
    "TE": "trailers",
    "Trailer": "x",
    "Transfer-Encoding": "chunked",
    "Upgrade": "h2c",
    "X-Detour-Scenario": "evil",
}
"""Headers that a request to try may not set: it travels by them."""


async def test_headers_by_which_a_request_travels_are_its_own():
    """Whatever was asked for, in any case; all others are sent as they are."""
    async with edge(lambda: PlainTextResponse("")) as (settings, seen):
        request = TrialRequest(headers={**OWN, "X-Own": "1", "Authorization": "Bearer a"}, host="app.test:80")
        await send(request, settings, {"baggage": "carried", "x-detour-token": "signed"})
        await send(TrialRequest(scenario="checkout", host="other.test"), settings, {})
    first, second = seen
    assert dict(first.headers) == {
        "host": "app.test:80",
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "keep-alive",
        "user-agent": first.headers["user-agent"],
        "x-own": "1",
        "authorization": "Bearer a",
        "baggage": "carried",
        "x-detour-token": "signed",
    }
    assert second.headers["x-detour-scenario"] == "checkout"
    assert f"http://{second.headers['host']}" == settings.edge_url


@pytest.mark.parametrize(("length", "truncated"), [(0, False), (16_384, False), (16_385, True), (40_000, True)])
async def test_16_kilobytes_of_a_body_are_kept(length: int, truncated: bool):
    """Of one byte more it is said that there is more."""
    found = await answered(PlainTextResponse("x" * length))
    assert (len(found.body), found.truncated) == (min(length, 16_384), truncated)


async def test_50_headers_of_500_characters_are_kept():
    """Never a cookie, which is private."""
    response = PlainTextResponse("", headers={f"x-{number:02}": "y" * (499 + number) for number in range(60)})
    response.set_cookie("a", "secret")
    found = (await answered(response)).headers
    assert len(found) == 50
    assert "set-cookie" not in found
    assert {name: len(found[name]) for name in ("x-00", "x-01", "x-02")} == {"x-00": 499, "x-01": 500, "x-02": 500}


@pytest.mark.parametrize(
    ("content", "kind", "body"),
    [
        ("é".encode(), "text/plain; charset=utf-8", "é"),
        ("é".encode("latin-1"), "text/plain; charset=latin-1", "é"),
        ("é".encode("latin-1"), "text/plain", "\ufffd"),
        ("é".encode(), "text/plain; charset=klingon", "é"),
        ("é".encode(), "text/plain; charset=rot13", "é"),
        (b"\xff", "text/plain; charset=klingon", "\ufffd"),
    ],
)
async def test_a_body_is_read_as_it_says(content: bytes, kind: str, body: str):
    """Or else as UTF-8; nothing that it says makes it fail."""
    assert (await answered(Response(content, media_type=kind))).body == body


async def test_a_body_that_is_compressed_all_the_same_is_kept_as_it_came():
    """A small one could unpack to any size."""
    packed = gzip.compress(b"x" * 10_000_000)
    response = Response(packed, headers={"content-encoding": "gzip"})
    found = await answered(response)
    assert len(found.body) < 16_384
    assert found.truncated is (len(packed) > 16_384)


async def test_a_redirect_is_an_answer():
    """It is not followed: it may lead anywhere."""
    found = await answered(RedirectResponse("http://127.0.0.1:1/"), method="POST", path="/a?b=1", host="app.test")
    assert (found.status, found.headers["location"]) == (307, "http://127.0.0.1:1/")
    assert (found.url, found.host) == ("http://app.test/a?b=1", "app.test")
    assert found.seconds > 0


async def test_a_proxy_of_the_server_is_not_used(monkeypatch: pytest.MonkeyPatch):
    """The edge is in the mesh."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await answered(PlainTextResponse("fine"))).body == "fine"


async def test_an_edge_that_does_not_answer_in_time(monkeypatch: pytest.MonkeyPatch):
    """The message names the request; another one names the setting that leads nowhere."""
    monkeypatch.setattr(edge_client, "_TIMEOUT_SECONDS", 1)
    # The kernel accepts the connection, and no process reads from it.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        settings = Settings(edge_url=f"http://127.0.0.1:{port}")
        with pytest.raises(TimeoutError, match=rf"no response to POST http://127.0.0.1:{port}/a within 1 s"):
            await send(TrialRequest(method="POST", path="/a"), settings, {})
    with pytest.raises(EdgeUnreachableError, match=f"no edge answers at http://127.0.0.1:{port}, .* edge.url"):
        await send(TrialRequest(), settings, {})


@pytest.mark.parametrize(
    ("host", "service"),
    [
        ("app.test", "web"),
        ("preview.test", "shop"),
        ("checkout.preview.test", "shop"),
        ("a.b.preview.test", "shop"),
        ("checkout.long.preview.test", "pay"),
        ("any.wild.test", "users"),
        ("wild.test", None),
        ("xpreview.test", None),
        ("preview.test.evil", None),
        ("other.test", None),
        ("", None),
    ],
)
def test_the_service_behind_a_host(host: str, service: str | None):
    """By its name, by the longest name that it is below, or else by the star."""
    hosts = {"app.test": "web", "*.wild.test": "users"}
    previews = {"preview.test": "shop", "long.preview.test": "pay"}
    assert service_behind(Settings(edge_hosts=hosts, edge_previews=previews), host) == service
    everything = Settings(edge_hosts={**hosts, "*": "rest"}, edge_previews=previews)
    assert service_behind(everything, host) == (service or "rest")
