"""Envoy's admin interface: nothing that a web page, a request of the mesh or another user sends has an effect."""

import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from detour.envoy.admin import READABLE
from detour.envoy.admin_client import Admin
from detour.mesh import Endpoint, Service, SettingsApplied
from parts import Client, MeshUnderTest, edge_of, http_instance, running_mesh

CHANGING = ("/quitquitquit", "/healthcheck/fail", "/drain_listeners", "/reset_counters", "/logging?level=trace")
TELLING = ("/config_dump", "/clusters", "/listeners", "/certs", "/runtime", "/help", "/", "/stats/../config_dump")


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[MeshUnderTest]:
    """Run a mesh with one service."""
    async with http_instance("web-1") as web, running_mesh(tmp_path, [Service("web", (web,))]) as mesh:
        yield mesh


def port_of(client: Client) -> str:
    """Return the URL of an Envoy's admin port."""
    return f"http://127.0.0.1:{client.settings.admin_port}"


@pytest.mark.parametrize("kind", ["sidecar", "edge"])
async def test_the_admin_port_only_reads(mesh: MeshUnderTest, tmp_path: Path, kind: str) -> None:
    """Whatever a page sends there is refused, and Envoy goes on; probes and Prometheus are answered."""
    envoy = await (mesh.sidecar() if kind == "sidecar" else mesh.edge(trust_overrides=False))
    async with httpx.AsyncClient(base_url=port_of(envoy), trust_env=False) as page:
        for path in (*CHANGING, *READABLE, "/stats?filter=x"):
            refused = await page.post(path, headers={"origin": "https://evil.example.test"})
            assert (refused.status_code, refused.text[:32]) == (403, "Detour: this port answers only G"), path
        for path in (*TELLING, *CHANGING):
            assert (await page.get(path)).status_code == 403, path
        for path in READABLE:
            assert (await page.get(path)).status_code == 200, path
        assert "envoy_server_live" in (await page.get("/stats/prometheus")).text
    assert envoy.envoy.returncode is None


async def test_a_name_that_resolves_to_loopback_reads_nothing(mesh: MeshUnderTest) -> None:
    """DNS rebinding: a page's own name leads a browser to the port; only this machine's names are answered."""
    sidecar = await mesh.sidecar()
    hosts = {"evil.example.test": 403, "evil.example.test:15000": 403, "localhost": 200, "localhost:9999": 200}
    async with httpx.AsyncClient(base_url=port_of(sidecar), trust_env=False) as page:
        answers = {host: (await page.get("/stats", headers={"host": host})).status_code for host in hosts}
    assert answers == hosts


async def test_a_deployment_at_the_admin_port_is_no_way_in(mesh: MeshUnderTest) -> None:
    """Registered as `web@x`, it can neither be read for its configuration nor ended, whatever Host is sent."""
    edge = await mesh.edge(trust_overrides=True)
    mesh.apply(SettingsApplied(edge_of(any="web")))
    await edge.until("/", lambda answer: answer.is_success)
    mesh.register("web", "x", Endpoint("127.0.0.1", edge.settings.admin_port))
    for host in (f"127.0.0.1:{edge.port}", "localhost"):
        headers = {"baggage": "override.route.web=x", "host": host}
        assert (await edge.get("/config_dump", headers=headers)).status_code == 403
        assert (await edge.post("/quitquitquit", headers=headers)).status_code == 403
    assert edge.envoy.returncode is None


async def test_the_socket_without_a_file_only_reads(mesh: MeshUnderTest) -> None:
    """It has no owner, so that others of the machine may connect: they cannot change anything either."""
    sidecar = await mesh.sidecar()
    admin = Admin(f"@detour-admin-{sidecar.settings.admin_port}")
    for path in CHANGING:
        assert (await admin.request(path, "POST"))[0] == 403
    for path in TELLING:
        assert (await admin.request(path))[0] == 403
    assert (await admin.request("/ready"))[0] == 200
    assert await admin.stats("^server.live$") == {"server.live": 1}


async def test_the_file_is_its_owners(mesh: MeshUnderTest, tmp_path: Path) -> None:
    """With all of the interface; one that a killed Envoy has left is no obstacle."""
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    sidecar = await mesh.sidecar(admin_socket=str(path))
    mode = path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    status, body = await Admin(str(path)).request("/config_dump")
    assert (status, sidecar.settings.instance in body) == (200, True)
    await Admin(str(path)).request("/quitquitquit", "POST")
    assert await sidecar.envoy.ended() == 0
