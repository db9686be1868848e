"""Links into a scenario, followed by real clients: they end in the scenario, or on a page that says why not."""

import asyncio
import html
import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import requests
import websockets

from detour.mesh import SettingsApplied
from parts import Client, MeshUnderTest
from versions import BASELINE, PREVIEW, SHOP, forgetful, serving, two_versions

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
NAVIGATION = {**PAGE, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "sec-fetch-site": "none"}
FRAME = {**NAVIGATION, "sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site"}
CALL = {"accept": "*/*", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[MeshUnderTest, Client]]:
    """Run both versions behind an edge without preview hosts; one scenario is called as numbers are."""
    async with two_versions(tmp_path_factory.mktemp("links"), more={"42": "web=pr-7", "1x": "web=pr-7"}) as both:
        yield both


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def edge(running: tuple[MeshUnderTest, Client]) -> Client:
    """Return the edge."""
    return forgetful(running[1])


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def previewed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """Return an edge of another mesh, which has preview hosts."""
    async with two_versions(tmp_path_factory.mktemp("previewed"), serving({PREVIEW: "web"})) as (_, started):
        yield forgetful(started)


async def output(*command: str) -> str:
    """Return what a program prints, in an environment without proxies."""
    process = await asyncio.create_subprocess_exec(
        *command, env={"PATH": "/usr/bin:/bin"}, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    return said.decode()


@pytest.mark.parametrize("jar", [(), ("-b", "")], ids=["no jar", "jar"])
@pytest.mark.parametrize("accept", [(), ("-H", "accept: application/json")], ids=["any", "json"])
@pytest.mark.parametrize(
    "path", ["/?detour=shop", "/redirect?detour=shop&to=/", "/redirect?to=%2Fa%3Fb%3D1%23c&detour=shop"]
)
async def test_curl(edge: Client, jar: tuple[str, ...], accept: tuple[str, ...], path: str) -> None:
    """Without a cookie jar, or with one: in the scenario, where the application redirects it, too."""
    said = json.loads(await output("curl", "-sL", *jar, *accept, f"{edge.base_url}{path}"))
    assert said["version"] == SHOP


@pytest.mark.skipif(not shutil.which("node"), reason="no Node.js on this machine")
async def test_fetch_of_node(edge: Client) -> None:
    """It follows redirects and has no cookies."""
    for path in ("/?detour=shop", "/redirect?to=/rides&detour=shop"):
        code = f"fetch('{edge.base_url}{path}').then(a => a.text()).then(console.log)"
        assert json.loads(await output(shutil.which("node"), "-e", code))["version"] == SHOP


async def test_clients_of_python(edge: Client) -> None:
    """They have cookies for a session, or for one call and its redirects."""
    for accept in ("*/*", PAGE["accept"], "application/json"):
        url, headers = f"{edge.base_url}/rides?detour=shop", {"accept": accept}
        assert (await asyncio.to_thread(requests.get, url, headers=headers, timeout=20)).json()["version"] == SHOP
        async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as client:
            assert (await client.get(url, headers=headers)).json()["version"] == SHOP
            assert (await client.get(f"{edge.base_url}/rides")).json()["version"] == SHOP
            left = await client.get(f"{edge.base_url}/rides?detour=", headers=headers)
            assert (left.json()["version"], left.url.query) == (BASELINE, b"")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
async def test_a_client_that_shows_no_page(edge: Client, method: str) -> None:
    """Is in the scenario at once, and the application gets the address without the link, in its order."""
    answer = await edge.request(method, "/rides?b=%2F&detour=shop&a=1&&c", headers=CALL)
    assert (answer.status_code, answer.headers["x-detour-scenario"]) == (200, "shop")
    assert answer.headers["set-cookie"] == "detour=shop; Path=/; HttpOnly; SameSite=Lax"
    if method != "HEAD":
        assert (answer.json()["version"], answer.json()["query"]) == (SHOP, "b=%2F&a=1&&c")
    kept = await edge.request(method, "/rides?detour=shop", headers={**CALL, "cookie": "detour=shop"})
    assert "set-cookie" not in kept.headers
    other_site = await edge.request(method, "/rides?detour=shop", headers={**CALL, "sec-fetch-site": "cross-site"})
    assert not {"set-cookie", "clear-site-data"} & set(other_site.headers)


def leads_to(answer: httpx.Response) -> str:
    """Return where a redirect, or a page that goes on by itself, leads to."""
    if answer.status_code == 302:
        return answer.headers["location"]
    (found,) = re.findall('content="0; url=([^"]+)"', answer.text)
    return html.unescape(found)


@pytest.mark.parametrize("headers", [PAGE, NAVIGATION], ids=["by accept", "by fetch metadata"])
async def test_a_browser_that_keeps_the_cookie(edge: Client, headers: dict[str, str]) -> None:
    """Comes to the address without the link, and what it had stored of the baseline is gone."""
    for path, clean in (("/rides?a=1&detour=shop&b=%2F", "/rides?a=1&b=%2F"), ("/?detour=shop", "/")):
        first = await edge.get(path, headers=headers)
        marked = f"{clean}{'&' if '?' in clean else '?'}detour=shop~"
        assert leads_to(first) == marked
        assert first.headers["set-cookie"] == "detour=shop; Path=/; HttpOnly; SameSite=Lax"
        assert (first.headers["cache-control"], first.headers["clear-site-data"]) == (
            "private, no-store",
            '"cache"',
        )
        for again in (marked, path):
            second = await edge.get(again, headers={**headers, "cookie": "a=1; detour=shop"})
            assert (second.status_code, second.headers["location"]) == (302, clean)
            assert not {"set-cookie", "clear-site-data"} & set(second.headers)
    other = await edge.get("/?detour=shop", headers={**headers, "cookie": "detour=old"})
    assert other.headers["set-cookie"].startswith("detour=shop;")


async def test_a_browser_that_keeps_no_cookie(edge: Client, previewed: Client) -> None:
    """Ends on the preview host, or on a page that says why it is not in the scenario; it is not sent in circles."""
    answer = await edge.get("/rides?detour=shop", headers=NAVIGATION)
    page = await edge.get(leads_to(answer), headers=NAVIGATION)
    assert (page.status_code, page.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert (page.headers["cache-control"], "cookie" in page.text) == ("no-store", True)
    wrong = await edge.get(leads_to(answer), headers={**NAVIGATION, "cookie": "detour=old; detour=shop"})
    assert wrong.status_code == 403
    to = await previewed.get("/rides?a=1&detour=shop~", headers={**NAVIGATION, "host": "a.test:8000"})
    assert (to.status_code, to.headers["location"]) == (302, f"//shop.{PREVIEW}:8000/rides?a=1")


async def test_a_frame_on_another_site(edge: Client) -> None:
    """Gets the one cookie that browsers keep there."""
    first = await edge.get("/?detour=shop", headers=FRAME)
    kept = "detour=shop; Path=/; HttpOnly; SameSite=None; Secure; Partitioned"
    assert first.headers["set-cookie"] == kept
    left = await edge.get("/?detour=", headers={**FRAME, "cookie": "detour=shop"})
    assert "Partitioned" in left.headers.get_list("set-cookie")[-1]


@pytest.mark.parametrize("headers", [PAGE, CALL], ids=["page", "call"])
async def test_a_link_to_no_scenario(edge: Client, headers: dict[str, str]) -> None:
    """Says so, at once, and sets no cookie that every other page would then stumble over."""
    for name, status in (("chekout", 404), ("old", 410)):
        answer = await edge.get(f"/?detour={name}", headers=headers)
        assert answer.status_code == status
        assert not {"set-cookie", "clear-site-data"} & set(answer.headers)


@pytest.mark.parametrize(
    "query",
    [
        *(
            "detour=A7",
            "detour=_",
            "detour=a%20b",
            "detour=1",
            "detour=0",
            "detour=true",
            "detour=a.b",
            "detour=a=b",
        ),
        *("detour", "a=detour=shop", "xdetour=shop", "detour=-", "detour=a-", "detour=%ff", "detour=~"),
        "detour=" + "a" * 64,
    ],
)
async def test_a_parameter_of_the_application(edge: Client, previewed: Client, query: str) -> None:
    """Reaches it as it is, wherever it stands; on a preview host, too."""
    for headers in (PAGE, CALL):
        for path in (f"/x?{query}", f"/x?b=1&{query}&c=%20"):
            for client, host, expected in (
                (edge, "a.test", BASELINE),
                (previewed, "a.test", BASELINE),
                (previewed, f"shop.{PREVIEW}", SHOP),
            ):
                answer = await client.get(path, headers={**headers, "host": host})
                assert (answer.json()["version"], answer.json()["query"]) == (expected, path.partition("?")[2])
                assert "set-cookie" not in answer.headers


async def test_a_scenario_with_an_everyday_name(edge: Client) -> None:
    """Is found all the same; an encoded name is the same name."""
    for value in ("42", "1x", "%34%32", "sh%6Fp"):
        assert (await edge.get(f"/?detour={value}", headers=CALL)).json()["version"] == SHOP


async def test_another_parameter(tmp_path: Path) -> None:
    """Where the application has a parameter of that name, links have the one that the mesh file says."""
    async with two_versions(tmp_path, serving({PREVIEW: "web"}, edge_parameter="_scenario")) as (mesh, edge):
        forgetful(edge)
        mine = await edge.get("/?detour=shop", headers=CALL)
        assert (mine.json()["version"], mine.json()["query"]) == (BASELINE, "detour=shop")
        assert (await edge.get("/?_scenario=shop", headers=CALL)).json()["version"] == SHOP
        first = await edge.get("/?_scenario=shop", headers=PAGE)
        assert first.headers["location"] == "/?_scenario=shop~"
        assert 'href="?_scenario="' in (await edge.get("/?_scenario=none-such", headers=PAGE)).text
        answer = await edge.get("/?_scenario=", headers={**PAGE, "host": f"shop.{PREVIEW}"})
        assert answer.headers["location"] == f"//{PREVIEW}/"
        answer = await edge.get("/?detour=", headers={**PAGE, "host": f"shop.{PREVIEW}"})
        assert answer.json()["version"] == SHOP
        mesh.apply(SettingsApplied(serving()))
        await edge.until("/?detour=shop", lambda one: one.json()["version"] == SHOP, headers=CALL)


async def test_a_cookie_for_a_whole_domain(tmp_path: Path) -> None:
    """Where the mesh file says so, a scenario entered on one host holds on its siblings; leaving is leaving all."""
    async with two_versions(tmp_path, serving(edge_cookie_domain="example.test")) as (_, edge):
        forgetful(edge)
        for host in ("www.example.test:80", "example.test", "WWW.Example.test"):
            lines = (await edge.get("/?detour=shop", headers={**CALL, "host": host})).headers.get_list("set-cookie")
            assert lines == ["detour=shop; Path=/; HttpOnly; Domain=example.test; SameSite=Lax"]
            lines = (await edge.get("/?detour=", headers={**CALL, "host": host})).headers.get_list("set-cookie")
            assert ["Domain=example.test" in line for line in lines] == [False, True]
        line = (await edge.get("/?detour=shop", headers={**CALL, "host": "badexample.test"})).headers["set-cookie"]
        assert "Domain" not in line


async def test_an_address_with_everything(edge: Client) -> None:
    """Is the same after the cookie, and nothing of it becomes part of a page."""
    url = httpx.URL(edge.base_url).copy_with(raw_path=b"/x?a='<b>\"&detour=shop&c=1;url=//evil.test")
    answer = await edge.get(url, headers=NAVIGATION)
    assert leads_to(answer) == "/x?a='%3Cb%3E%22&c=1;url=//evil.test&detour=shop~"
    assert "<b>" not in answer.text


async def test_where_the_application_redirects_to(edge: Client) -> None:
    """The link goes along to an edge's own addresses, and to nobody else's."""
    host = edge.base_url.netloc.decode()
    for to, location in (
        ("/a?b=1#c", "/a?b=1&detour=shop#c"),
        ("a", "a?detour=shop"),
        ("?b", "?b&detour=shop"),
        (f"http://{host}/a", f"http://{host}/a?detour=shop"),
        ("https://127.0.0.1/a", "https://127.0.0.1/a?detour=shop"),
        ("http://other.test/a", "http://other.test/a"),
        ("//other.test/a", "//other.test/a"),
    ):
        params = {"to": to, "detour": "shop"}
        answer = await edge.get("/redirect", params=params, headers=CALL)
        assert answer.headers["location"] == location
        inside = await edge.get("/redirect", params={"to": to}, headers={**CALL, "cookie": "detour=shop"})
        assert inside.headers["location"] == to
    posted = await edge.post("/redirect", params={"to": "/", "status": "303", "detour": "shop"}, headers=PAGE)
    assert (posted.status_code, posted.headers["location"]) == (303, "/?detour=shop")


async def test_a_prefetched_link(edge: Client) -> None:
    """Is not followed: nobody has opened it."""
    for purpose in ({"sec-purpose": "prefetch;prerender"}, {"purpose": "prefetch"}, {"x-moz": "prefetch"}):
        for value in ("shop", ""):
            answer = await edge.get(f"/?detour={value}", headers={**NAVIGATION, **purpose})
            assert (answer.status_code, "set-cookie" in answer.headers) == (503, False)


async def test_a_websocket(edge: Client) -> None:
    """Has no redirects to follow, and needs none."""
    async with websockets.connect(f"ws://127.0.0.1:{edge.port}/chat?detour=shop&a=1", proxy=None) as socket:
        assert await socket.recv() == f"{SHOP} a=1"


@pytest.mark.parametrize(
    ("headers", "kind", "status"),
    [
        (PAGE, "text/html; charset=utf-8", 404),
        ({"accept": "application/json"}, "application/problem+json", 404),
        ({"accept": "text/plain, application/vnd.api+json;q=0.9"}, "application/problem+json", 404),
        ({"accept": "*/*"}, "text/plain; charset=utf-8", 404),
        ({"content-type": "application/grpc+proto"}, "application/grpc", 200),
    ],
)
async def test_a_page_for_each_kind_of_client(
    edge: Client, previewed: Client, headers: dict[str, str], kind: str, status: int
) -> None:
    """What is wrong with a scenario is said as the client takes it, on every way in."""
    nobody = {"host": f"nobody.{PREVIEW}"}
    for client, way in (
        (edge, {"x-detour-scenario": "nobody"}),
        (edge, {"cookie": "detour=nobody"}),
        (previewed, nobody),
    ):
        answer = await client.get("/", headers={**headers, **way})
        assert (answer.status_code, answer.headers["content-type"]) == (status, kind)
        assert "Unknown scenario" in answer.text + answer.headers.get("grpc-message", "")
        if kind == "application/problem+json":
            assert answer.json().keys() == {"type", "title", "status", "detail"}
        if kind == "application/grpc":
            assert answer.headers["grpc-status"] == "5"
        if kind.startswith("text/plain"):
            assert answer.text.startswith("Detour: ")


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({"referer": f"http://shop.{PREVIEW}/"}, SHOP),
        ({"referer": f"https://shop.{PREVIEW}:8000/rides?a=1", "origin": "null"}, SHOP),
        ({"referer": f"http://shop.{PREVIEW}"}, SHOP),
        ({"referer": f"http://shop.{PREVIEW}/", "accept": "image/avif,*/*"}, SHOP),
        ({"origin": f"http://shop.{PREVIEW}"}, SHOP),
        ({"referer": f"http://shop.{PREVIEW}/", "origin": "http://other.test"}, BASELINE),
        ({"referer": f"http://other.test/?.{PREVIEW}"}, BASELINE),
        ({"referer": f"http://shop.{PREVIEW}.evil.test/"}, BASELINE),
        ({"referer": f"http://shop.{PREVIEW}@evil.test/"}, BASELINE),
        ({"referer": f"http://shop.{PREVIEW}/", **NAVIGATION}, BASELINE),
        ({"referer": f"http://shop.{PREVIEW}/", **PAGE}, BASELINE),
        ({"origin": "null"}, BASELINE),
    ],
)
async def test_parts_of_a_preview_page(previewed: Client, headers: dict[str, str], version: str) -> None:
    """Scripts, images and styles come from the scenario of the page that they are for, whatever the host."""
    answer = await previewed.get("/w.js", headers={**headers, "host": "api.example.test"})
    assert answer.json()["version"] == version
    nobody = {name: text.replace("shop.", "nobody.") for name, text in headers.items()}
    answer = await previewed.get("/w.js", headers={**nobody, "host": "api.example.test"})
    assert answer.status_code == (404 if version == SHOP else 200)


async def test_a_frame_in_a_preview_page(previewed: Client) -> None:
    """Has parts of its own: it enters the scenario as by a link."""
    headers = {
        **FRAME,
        "sec-fetch-site": "same-site",
        "referer": f"http://shop.{PREVIEW}/",
        "host": "api.example.test",
    }
    answer = await previewed.get("/frame?a=1", headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (302, "/frame?a=1&detour=shop~")
    assert answer.headers["set-cookie"] == "detour=shop; Path=/; HttpOnly; SameSite=Lax"
