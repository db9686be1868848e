"""What is kept of responses in a scenario: nothing, by a shared cache in front of an edge and by who asks again."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
import pytest_asyncio

from nginx import running_nginx
from parts import Client
from ports import free_port
from versions import BASELINE, CDN_HEADERS, LONG, PREVIEW, SHOP, forgetful, serving, two_versions

pytestmark = pytest.mark.asyncio(loop_scope="module")

CACHES = """
proxy_cache_path {folder}/kept keys_zone=kept:1m;
proxy_cache_path {folder}/kept-too keys_zone=kept-too:1m;
server {{
  listen 127.0.0.1:{plain};
  location / {{
    proxy_pass http://127.0.0.1:{edge};
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_cache kept;
    proxy_cache_key $http_host$request_uri;
    proxy_cache_valid any 10m;
    proxy_cache_revalidate on;
    add_header x-cache $upstream_cache_status always;
  }}
}}
server {{
  listen 127.0.0.1:{knowing};
  location / {{
    proxy_pass http://127.0.0.1:{edge};
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_cache kept-too;
    proxy_cache_key $http_host$request_uri;
    # docs/scenarios.md
    proxy_cache_bypass $cookie_detour $http_x_detour_scenario $http_baggage;
    proxy_no_cache $cookie_detour $http_x_detour_scenario $http_baggage;
    add_header x-cache $upstream_cache_status always;
  }}
}}
"""
WAYS = {
    "cookie": {"cookie": "detour=shop"},
    "header": {"x-detour-scenario": "shop"},
    "host": {"host": f"shop.{PREVIEW}"},
    "referer": {"referer": f"http://shop.{PREVIEW}/"},
    "other people's baggage": {"cookie": "detour=shop", "baggage": "a=1"},
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def edges(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Client, Client]]:
    """Run both versions behind an edge that trusts nothing from outside, and one that trusts all."""
    more = {"failing": "abort.web=404", "away": "web=pr-404"}
    settings = serving({PREVIEW: "web"})
    async with two_versions(tmp_path_factory.mktemp("caches"), settings, more=more) as (mesh, edge):
        yield edge, await mesh.edge(trust_overrides=True)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def edge(edges: tuple[Client, Client]) -> Client:
    """Return the edge that trusts nothing."""
    return edges[0]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def caches(
    edges: tuple[Client, Client], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """Run a shared cache before the edge, and one that is set as the documentation says."""
    folder, plain, knowing = tmp_path_factory.mktemp("nginx"), free_port(), free_port()
    text = CACHES.format(folder=folder, plain=plain, knowing=knowing, edge=edges[0].port)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running_nginx(folder, text, plain))
        addresses = [f"http://127.0.0.1:{port}" for port in (plain, knowing)]
        clients = [httpx.AsyncClient(base_url=one, trust_env=False) for one in addresses]
        yield tuple([forgetful(await stack.enter_async_context(client)) for client in clients])


@pytest.mark.parametrize("way", WAYS)
async def test_a_response_in_a_scenario(edge: Client, way: str) -> None:
    """Is stored by no cache, of whichever kind, whatever the application says."""
    answer = await edge.get("/app.js", headers=WAYS[way])
    assert (SHOP in answer.text, answer.headers["cache-control"]) == (True, "private, no-store")
    assert not set(CDN_HEADERS) & set(answer.headers)


async def test_a_response_in_none(edge: Client, edges: tuple[Client, Client]) -> None:
    """Is as the application has it, byte for byte, conditions and their answers included."""
    for client in edges:
        answer = await client.get("/app.js")
        assert (BASELINE in answer.text, answer.headers["cache-control"]) == (True, LONG)
        assert {name: answer.headers[name] for name in CDN_HEADERS} == CDN_HEADERS
        assert not {"vary", "clear-site-data"} & set(answer.headers)
        again = await client.get("/app.js", headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304


async def test_overrides_without_a_scenario(edges: tuple[Client, Client]) -> None:
    """The same holds for whoever an edge trusts with them."""
    headers = {"baggage": "override.route.web=pr-7"}
    for more in ({}, {"if-none-match": "x"}, {"if-modified-since": "Tue, 02 Jan 2024 00:00:00 GMT"}):
        answer = await edges[1].get("/app.js", headers={**headers, **more})
        assert (SHOP in answer.text, answer.headers["cache-control"]) == (True, "private, no-store")
    stripped = await edges[0].get("/app.js", headers=headers)
    assert (BASELINE in stripped.text, stripped.headers["cache-control"]) == (True, LONG)


@pytest.mark.parametrize("way", WAYS)
async def test_a_condition_from_another_version(edge: Client, way: str) -> None:
    """Is not answered by a 304, whatever the version has for dates and tags; that of a change counts."""
    known = (await edge.get("/app.js")).headers
    for condition in ({"if-none-match": known["etag"]}, {"if-modified-since": known["last-modified"]}):
        answer = await edge.get("/app.js", headers={**WAYS[way], **condition})
        assert (answer.status_code, SHOP in answer.text) == (200, True)
    changed = await edge.put("/x", headers={**WAYS[way], "if-none-match": "*"})
    assert changed.json()["headers"]["if-none-match"] == "*"


async def test_what_an_edge_says_itself(edge: Client) -> None:
    """Of a fault, and of a deployment that is missing, is stored by nobody."""
    for name, status in (("failing", 404), ("away", 503), ("nobody", 404), ("old", 410)):
        answer = await edge.get("/", headers={"cookie": f"detour={name}"})
        assert (answer.status_code, answer.headers["cache-control"]) == (status, "no-store")


async def test_a_shared_cache(caches: tuple[httpx.AsyncClient, httpx.AsyncClient]) -> None:
    """Gives nobody what another one saw in a scenario, also where it stores all that it may."""
    plain, _ = caches
    for number, way in enumerate(WAYS.values()):
        path = f"/app.js?{number}"
        inside = await plain.get(path, headers=way)
        assert SHOP in inside.text
        outside = await plain.get(path, headers={"host": way.get("host", "a.test").removeprefix("shop.")})
        assert BASELINE in outside.text
    linked = await plain.get("/app.js?detour=shop")
    assert SHOP in linked.text
    assert (await plain.get("/app.js?detour=shop")).headers["x-cache"] != "HIT"
    for name in ("failing", "away"):
        assert (await plain.get(f"/app.js?{name}", headers={"cookie": f"detour={name}"})).is_error
        assert BASELINE in (await plain.get(f"/app.js?{name}")).text
    assert (await plain.get("/app.js?failing")).headers["x-cache"] == "HIT"


async def test_a_shared_cache_that_knows_the_cookie(caches: tuple[httpx.AsyncClient, httpx.AsyncClient]) -> None:
    """As the documentation has it: who is in a scenario gets nothing that was stored of the baseline, either."""
    _, knowing = caches
    for number, way in enumerate((WAYS["cookie"], WAYS["header"])):
        path = f"/app.js?knowing={number}"
        for headers, version in (({}, BASELINE), (way, SHOP), ({}, BASELINE)):
            assert version in (await knowing.get(path, headers=headers)).text
        assert (await knowing.get(path)).headers["x-cache"] == "HIT"
