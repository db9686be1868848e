"""An edge behind a real nginx that ends TLS: its word on the way of a request counts, and nobody else's."""

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import httpx
import pytest
import pytest_asyncio

from detour.certificates.authority import Terms, issue, new_authority, server
from detour.cli.edge_settings import proxies_of_mesh
from detour.envoy import Edge, edge_bootstrap
from detour.mesh import Endpoint, Scenarios, ScenariosApplied, Service, Settings, SettingsApplied, TrustedProxies
from detour.overrides import parse_words
from nginx import running_nginx
from parts import Client, MeshUnderTest, edge_of, http_instance, running_mesh
from ports import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

NGINX = """
server {{
  listen 127.0.0.1:{port} ssl;
  ssl_certificate {folder}/certificate.pem;
  ssl_certificate_key {folder}/key.pem;
  location / {{
    proxy_bind 127.0.0.2;
    proxy_pass http://127.0.0.1:{edge};
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Request-Id from-nginx;
  }}
}}
"""
BY_ADDRESS = TrustedProxies(("127.0.0.2/32", "10.0.0.0/8"))
FORGED = {
    "x-forwarded-proto": "https",
    "x-forwarded-for": "203.0.113.7",
    "x-forwarded-host": "evil.test",
    "x-forwarded-port": "443",
    "forwarded": "for=203.0.113.7;proto=https",
    "x-real-ip": "203.0.113.7",
    "x-request-id": "forged",
}


@asynccontextmanager
async def django() -> AsyncIterator[Endpoint]:
    """Run the Django application."""
    port = free_port()
    command = ("-m", "uvicorn", "--app-dir", str(Path(__file__).parents[1]), "--port", str(port), "django_app:app")
    process = await asyncio.create_subprocess_exec(sys.executable, *command, "--log-level", "error")
    try:
        async with asyncio.timeout(30), httpx.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    await client.get(f"http://127.0.0.1:{port}/")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
        yield Endpoint("127.0.0.1", port)
    finally:
        process.terminate()
        await process.wait()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    """Run Django and an application that echoes, with a scenario."""
    async with AsyncExitStack() as stack:
        services = [
            Service("django", (await stack.enter_async_context(django()),)),
            Service("echo", (await stack.enter_async_context(http_instance("echo-1")),)),
        ]
        running = running_mesh(tmp_path_factory.mktemp("proxied"), services, settings=trusting(BY_ADDRESS))
        made = await stack.enter_async_context(running)
        made.apply(ScenariosApplied(Scenarios(MappingProxyType({"shop": parse_words(["config.x=1"])}))))
        yield made


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def edge(mesh: MeshUnderTest) -> Client:
    """Return an edge that believes whom the mesh says; its client is nobody of these."""
    return await edge_believing(mesh, await asyncio.to_thread(proxies_of_mesh, f"127.0.0.1:{mesh.port}", "edge"))


async def edge_believing(mesh: MeshUnderTest, proxies: TrustedProxies) -> Client:
    """Start an edge."""
    port = free_port()
    settings = Edge("edge", f"127.0.0.1:{port}", free_port(), f"127.0.0.1:{mesh.port}", trusted_proxies=proxies)
    process = await mesh.envoy(edge_bootstrap(settings), f"edge-{port}")
    return await mesh.stack.enter_async_context(Client(port, process, settings))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def outside(edge: Client, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """Run nginx before the edge, and return a client of it."""
    async with behind_nginx(edge.port, tmp_path_factory.mktemp("nginx")) as client:
        yield client


@asynccontextmanager
async def behind_nginx(edge: int, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Run nginx with a certificate of its own."""
    port, now = free_port(), datetime.now(UTC)
    authority = new_authority(now, Terms())
    leaf = issue(server(["localhost"]), authority, now, Terms())
    (folder / "certificate.pem").write_bytes(leaf.certificate)
    (folder / "key.pem").write_bytes(leaf.key)
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    async with running_nginx(folder, NGINX.format(port=port, folder=folder, edge=edge), port):
        address = f"https://localhost:{port}"
        async with httpx.AsyncClient(base_url=address, verify=context, trust_env=False) as client:
            yield client


def trusting(proxies: TrustedProxies) -> Settings:
    """Return the settings of a mesh whose edges believe these proxies."""
    return replace(edge_of(any="echo", localhost="django"), edge_trusted_proxies=proxies)


def got(answer: httpx.Response) -> dict[str, str]:
    """Return what the application got of what proxies say."""
    return {name: value for name, value in answer.json()["headers"] if name in FORGED}


async def test_django_that_insists_on_https(outside: httpx.AsyncClient) -> None:
    """Is reached, and knows its own address; it redirected forever, for it was told of http."""
    answer = await outside.get("/rides")
    assert (answer.status_code, answer.json()) == (
        200,
        {"url": str(outside.base_url.join("/rides")), "secure": True},
    )


async def test_what_nginx_says(outside: httpx.AsyncClient) -> None:
    """Goes on, and an edge adds itself; the scenario's cookie is for https alone."""
    answer = await outside.get("/", headers={"host": "other.test"})
    assert got(answer) == {
        "x-forwarded-proto": "https",
        "x-forwarded-for": "127.0.0.1,127.0.0.2",
        "x-forwarded-host": "other.test",
        "x-request-id": "from-nginx",
    }
    linked = await outside.get("/?detour=shop", headers={"host": "other.test"})
    assert linked.headers["set-cookie"] == "detour=shop; Path=/; HttpOnly; SameSite=Lax; Secure"


async def test_what_anybody_says(edge: Client) -> None:
    """Counts for nothing: who connects is the client, by http."""
    headers = got(await edge.get("/", headers=FORGED))
    assert headers.pop("x-request-id") not in {"", "forged"}
    assert headers == {"x-forwarded-proto": "http", "x-forwarded-for": "127.0.0.1"}
    linked = await edge.get("/?detour=shop", headers=FORGED)
    assert "Secure" not in linked.headers["set-cookie"]
    django = await edge.get("/", headers={**FORGED, "host": "localhost"})
    assert django.status_code == 301


@pytest.mark.parametrize("proxies", [TrustedProxies(hops=1), TrustedProxies(("127.0.0.1/32",))])
async def test_another_way_to_say_it(mesh: MeshUnderTest, proxies: TrustedProxies) -> None:
    """By a number of proxies, or by the client's own address."""
    edge = await edge_believing(mesh, proxies)
    headers = got(await edge.get("/", headers=FORGED))
    assert headers["x-forwarded-proto"] == "https"
    assert headers["x-forwarded-for"].startswith("203.0.113.7,")
    assert (headers["x-forwarded-host"], headers["x-request-id"]) == ("evil.test", "forged")


async def test_a_mesh_that_trusts_nobody(mesh: MeshUnderTest) -> None:
    """Leaves all as it was, but for what Envoy overwrites."""
    edge = await edge_believing(mesh, TrustedProxies())
    headers = got(await edge.get("/", headers=FORGED))
    assert (headers["x-forwarded-host"], headers["x-forwarded-proto"]) == ("evil.test", "http")


async def test_what_an_edge_asks_before_it_starts(mesh: MeshUnderTest) -> None:
    """Whom the mesh trusts: networks, a number, nobody; or that there is no control plane to ask."""
    for proxies in (TrustedProxies(hops=2), TrustedProxies(), BY_ADDRESS):
        mesh.apply(SettingsApplied(trusting(proxies)))
        assert await asyncio.to_thread(proxies_of_mesh, f"127.0.0.1:{mesh.port}", "edge") == proxies
    assert await asyncio.to_thread(proxies_of_mesh, f"127.0.0.1:{free_port()}", "edge") is None
