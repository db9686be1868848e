"""Envoys whose bootstraps earlier versions wrote, with this version's control plane: an upgrade restarts no pod."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest
import websockets

from detour.envoy import Edge, Sidecar
from detour.mesh import OffloadedDeployment, Protocol, Scenarios, ScenariosApplied, Service, SettingsApplied
from detour.overrides import parse_words
from parts import Client, MeshUnderTest, edge_of, grpc_instance, http_instance, running_mesh, through_a_tunnel
from ports import free_port
from upgrades.keep_bootstraps import BOOTSTRAPS, PORTS, keep

OVERRIDE = {"baggage": "override.route.users=pr-42"}
VERSIONS: Sequence[Path] = sorted(BOOTSTRAPS.iterdir())


@pytest.fixture(params=VERSIONS, ids=lambda folder: folder.name)
def kept(request: pytest.FixtureRequest) -> Path:
    """Return the folder of a version's bootstraps."""
    return request.param


@pytest.fixture
async def mesh(tmp_path: Path):
    """Run a mesh of users (with pr-42) and greeter (gRPC), and an edge's scenario."""
    async with (
        http_instance("users-1") as users,
        http_instance("users-pr-42") as changed,
        grpc_instance("greeter-1") as greeter,
        running_mesh(
            tmp_path,
            [Service("users", (users,)), Service("greeter", (greeter,), Protocol.HTTP2)],
            [OffloadedDeployment("users", "pr-42", (changed,))],
            edge_of({"preview.example.test": "users"}, any="users"),
        ) as made,
    ):
        made.apply(ScenariosApplied(Scenarios(MappingProxyType({"checkout": parse_words(["users=pr-42"])}))))
        yield made


def read(file: Path, mesh: MeshUnderTest) -> tuple[dict[str, Any], dict[str, int]]:
    """Return a bootstrap with free ports, and these."""
    ports = {name: free_port() for name in PORTS} | {"control plane": mesh.port}
    text = file.read_text(encoding="utf-8")
    for name, port in PORTS.items():
        text = text.replace(str(port), str(ports[name]))
    return json.loads(text), ports


async def sidecar(mesh: MeshUnderTest, kept: Path) -> Client:
    """Start the sidecar of a version."""
    bootstrap, ports = read(kept / "sidecar.json", mesh)
    settings = Sidecar("caller", "caller-1", ports["app"], ports["outbound"], ports["inbound"], ports["admin"])
    process = await mesh.envoy(bootstrap, "caller-1")
    return await mesh.stack.enter_async_context(Client(ports["outbound"], process, settings))


async def instance(client: Client, url: str, **headers: str) -> str:
    """Return the instance that answers; its status and text if it is an error."""
    answer = await client.get(url, headers=headers)
    return answer.json()["instance"] if answer.status_code == 200 else f"{answer.status_code} {answer.text}"


async def test_a_sidecar_routes_with_and_without_overrides(mesh: MeshUnderTest, kept: Path) -> None:
    """HTTP, WebSockets, CONNECT tunnels and gRPC; missing deployments, unreadable overrides, other hosts."""
    caller = await sidecar(mesh, kept)
    assert await instance(caller, "http://users/") == "users-1"
    assert await instance(caller, "http://users/", **OVERRIDE) == "users-pr-42"
    missing = {"baggage": "override.route.users=never"}
    assert "no ready instance of deployment never" in await instance(caller, "http://users/", **missing)
    missing["baggage"] += ",override.missing=baseline"
    assert await instance(caller, "http://users/", **missing) == "users-1"
    assert (await instance(caller, "http://users/", baggage="override.route.users=Not Valid")).startswith("400")
    where = {"host": "127.0.0.1", "port": caller.port, "proxy": None}
    async with websockets.connect("ws://users/ws", **where, additional_headers=OVERRIDE) as socket:
        assert await socket.recv() == "users-pr-42"
    assert b'"instance":"users-pr-42"' in await through_a_tunnel(caller, "users:80", OVERRIDE["baggage"])
    async with http_instance("outside-1") as outside:
        assert await instance(caller, f"http://localhost:{outside.port}/") == "outside-1"
    assert [one.version for one in mesh.ads.connections] == [json_version(kept)]


def json_version(kept: Path) -> str:
    """Return the version that a bootstrap names; the first ones named none."""
    return json.loads((kept / "sidecar.json").read_text())["node"]["metadata"].get("version", "")


async def test_a_sidecar_follows_changes(mesh: MeshUnderTest, kept: Path) -> None:
    """Deployments come and go; the kill switch holds."""
    caller = await sidecar(mesh, kept)
    assert await instance(caller, "http://users/", **OVERRIDE) == "users-pr-42"
    mesh.unregister("users", "pr-42")
    await caller.until("http://users/", lambda answer: answer.status_code == 503, headers=OVERRIDE)
    async with http_instance("users-pr-42-again") as again:
        mesh.register("users", "pr-42", again)
        await caller.until("http://users/", lambda answer: answer.status_code == 200, headers=OVERRIDE)
        mesh.apply(SettingsApplied(replace(mesh.ads.mesh.settings, overrides_off="maintenance")))
        await caller.until("http://users/", lambda answer: is_from(answer, "users-1"), headers=OVERRIDE)


def is_from(answer: httpx.Response, name: str) -> bool:
    """Tell whether an instance answered."""
    return answer.status_code == 200 and answer.json()["instance"] == name


async def test_an_edge_serves_scenarios(mesh: MeshUnderTest, kept: Path) -> None:
    """By host, header, cookie and link; it removes overrides from outside."""
    bootstrap, ports = read(kept / "edge.json", mesh)
    process = await mesh.envoy(bootstrap, "edge-1")
    settings = Edge("edge-1", f"127.0.0.1:{ports['inbound']}", ports["admin"])
    edge = await mesh.stack.enter_async_context(Client(ports["inbound"], process, settings))
    assert await instance(edge, "/") == "users-1"
    assert await instance(edge, "/", **OVERRIDE) == "users-1"
    for headers in (
        {"host": "checkout.preview.example.test"},
        {"x-detour-scenario": "checkout"},
        {"cookie": "detour=checkout"},
    ):
        answer = await edge.get("/", headers=headers)
        assert (answer.json()["instance"], answer.headers["x-detour-scenario"]) == ("users-pr-42", "checkout")
    answer = await edge.get("/rides?detour=checkout", headers={"accept": "text/html"}, follow_redirects=False)
    assert "detour=checkout" in answer.headers["set-cookie"]


def test_this_versions_bootstraps_can_be_kept(tmp_path: Path) -> None:
    """Each port occurs in them, so that a test can replace it."""
    keep(tmp_path)
    text = "".join(file.read_text() for file in tmp_path.iterdir())
    assert all(str(port) in text for port in PORTS.values())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["edge.json", "sidecar.json"]
