"""Clients that ignore `http_proxy` go through a real sidecar all the same, but for what must not."""

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from detour.mesh import OffloadedDeployment, Service
from detour.sdk.sidecar import proxy_for
from parts import http_instance, running_mesh

PROGRAM = """
import asyncio, json, sys
import detour.sdk
detour.sdk.install()
import aiohttp, httpx, requests, urllib3, urllib.request, websockets.asyncio.client, websockets.sync.client
from detour.sdk import using

url, local = "http://users/", sys.argv[1]
session = requests.Session()
session.trust_env = False
client, manager = httpx.Client(trust_env=False), urllib3.PoolManager()

async def by_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return (await answer.json())["instance"]

async def by_aiohttp_relative(base):
    async with aiohttp.ClientSession(base) as session, session.get("path") as answer:
        return (await answer.json())["instance"]

async def by_aiohttp_websocket(url):
    async with aiohttp.ClientSession() as session, session.ws_connect(url.replace("http", "ws") + "ws") as answer:
        return await answer.receive_str()

async def by_httpx(url):
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(url)).json()["instance"]

async def by_websockets(url):
    async with websockets.asyncio.client.connect(url.replace("http", "ws") + "ws") as socket:
        return await socket.recv()

def by_websockets_sync(url):
    with websockets.sync.client.connect(url.replace("http", "ws") + "ws") as socket:
        return socket.recv()

CLIENTS = {
    "aiohttp": lambda url: asyncio.run(by_aiohttp(url)),
    "aiohttp, base_url": lambda url: asyncio.run(by_aiohttp_relative(url)),
    "aiohttp's WebSocket": lambda url: asyncio.run(by_aiohttp_websocket(url)),
    "httpx": lambda url: client.get(url).json()["instance"],
    "httpx on asyncio": lambda url: asyncio.run(by_httpx(url)),
    "requests": lambda url: session.get(url).json()["instance"],
    "urllib.request": lambda url: json.load(urllib.request.urlopen(url))["instance"],
    "urllib3": lambda url: manager.request("GET", url).json()["instance"],
    "websockets": lambda url: asyncio.run(by_websockets(url)),
    "websockets without asyncio": by_websockets_sync,
}

found = {}
for name, call in CLIENTS.items():
    try:
        with using("users=pr-42"):
            found[name] = [call(url)]
        found[name] += [call(url), call(local)]
    except Exception as error:
        found[name] = repr(error)
print(json.dumps(found))
"""


async def test_every_client_goes_through_the_sidecar(tmp_path: Path) -> None:
    """With an override to the deployment, without one to the baseline; to this machine's own addresses directly."""
    async with AsyncExitStack() as stack:
        users, users_pr, local = [
            await stack.enter_async_context(http_instance(name)) for name in ("users-1", "users-pr-42", "local")
        ]
        deployment = OffloadedDeployment("users", "pr-42", (users_pr,))
        mesh = await stack.enter_async_context(running_mesh(tmp_path, [Service("users", (users,))], [deployment]))
        sidecar = await mesh.sidecar()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, f"http://{local.address}:{local.port}/"),
            env={"http_proxy": f"http://127.0.0.1:{sidecar.port}", "no_proxy": "localhost,127.0.0.1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await asyncio.wait_for(process.communicate(), 120)
        assert process.returncode == 0, errors.decode()
        found = json.loads(output)
        assert found == {name: ["users-pr-42", "users-1", "local"] for name in found}, errors.decode()


@pytest.mark.parametrize(
    ("proxy", "url", "taken"),
    [
        ("http://127.0.0.1:15001", "http://users/", True),
        ("127.0.0.1:15001", "http://users:8080/a?b", True),
        ("http://localhost:15001", "ws://users/", True),
        ("http://[::1]:15001", "HTTP://users", True),
        ("http://127.0.0.1:15001", "https://users/", False),
        ("http://127.0.0.1:15001", "http://localhost:8080/", False),
        ("http://127.0.0.1:15001", "http://127.0.0.2/", False),
        ("http://127.0.0.1:15001", "http://[::1]:80/", False),
        ("http://127.0.0.1:15001", "http://api.internal.test/", False),
        ("http://proxy.example.test:3128", "http://users/", False),
        ("", "http://users/", False),
    ],
)
def test_only_plain_calls_to_others_take_the_sidecar(
    monkeypatch: pytest.MonkeyPatch, proxy: str, url: str, taken: bool
) -> None:
    """A proxy elsewhere is no sidecar, and is left to clients that ask the environment."""
    for name in ("HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "localhost,.internal.test")
    assert (proxy_for(url) is not None) == taken
