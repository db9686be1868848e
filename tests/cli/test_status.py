"""`detour status`, with a real Envoy that rejects what it is sent."""

import asyncio
import json
from pathlib import Path

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from google.protobuf.duration_pb2 import Duration

from cli.running import detour
from detour.discovery.mesh_file import read
from detour.offload.registry import Registry
from detour.server import ControlPlane
from detour.server.api import api
from detour.server.serving import _config, _Http
from detour.server.sockets import bind
from detour.server.sources import MeshFile, Registered
from detour.xds.catalog import _BUILDERS, CLUSTER
from parts import MeshUnderTest


@pytest.fixture
async def plane(mesh_file: Path, tmp_path: Path):
    """Run a server in this process, so that what it sends can be spoilt; yield it with its API's URL."""
    with Registry(tmp_path / "state.db") as registry, bind("127.0.0.1:0", "the API") as listening:
        made = ControlPlane([MeshFile(mesh_file, read(mesh_file)), registered := Registered(registry)], registered)
        http = _Http(_config(api(made)))
        serving = asyncio.create_task(http.serve([listening]))
        yield made, f"http://127.0.0.1:{listening.getsockname()[1]}"
        http.should_exit = True
        await serving
        await made.ads.stop()


async def test_what_an_envoy_rejects_is_told_in_its_own_words(plane, tmp_path, monkeypatch):
    """Which Envoy, which resource and why; before that it is up to date, and what it holds is listed."""
    control_plane, url = plane

    async def status(*options: str) -> str:
        return (await asyncio.to_thread(detour, "status", "--server", url, *options)).stdout

    assert "No Envoys are connected. Start one: detour sidecar" in await status()
    mesh = MeshUnderTest(control_plane.ads, await control_plane.ads.start("127.0.0.1:0"), tmp_path)
    async with mesh.stack:
        caller = await mesh.sidecar()
        await caller.get("http://users/")
        assert " users " in (shown := _row(await status(), caller.settings.instance))
        assert "up to date" in shown
        assert "another version" not in await status()
        (connection,) = control_plane.ads.connections
        connection.version = "0.0.9"
        others = f"1 Envoy of another version than the server (0.1.0): {caller.settings.instance} (0.0.9). Restart"
        assert others in await status()
        # Nothing listens there; it is reported all the same.
        await caller.get("http://users.localhost:1/", headers={"baggage": "override.route.users=pr-42"})
        async with asyncio.timeout(20):
            while "caller calls users.localhost:1 (1 request with overrides of users" not in await status():
                pass
        monkeypatch.setitem(_BUILDERS, CLUSTER, _spoilt)
        await caller.get("http://payments/")
        shown, found = await status(), json.loads(await status("--json"))
    assert "1 rejected" in _row(shown, caller.settings.instance)
    (envoy,) = found["envoys"]
    (rejection,) = envoy["rejections"]
    assert (envoy["node"], envoy["service"], envoy["role"]) == (caller.settings.instance, "caller", "sidecar")
    assert (rejection["type"], rejection["names"]) == ("Cluster", ["payments"])
    assert "Expected positive duration" in rejection["message"]
    assert f"{envoy['node']} rejected Cluster payments: {' '.join(rejection['message'].split())}\n" in shown
    assert sorted(envoy["acknowledged"]["Cluster"]) == ["users", "users.localhost:1"]


def _row(shown: str, name: str) -> str:
    (row,) = [line for line in shown.splitlines() if line.startswith(f"{name} ") and "rejected " not in line]
    return row


def _spoilt(name: str, _target: object, _mesh: object) -> Cluster:
    return Cluster(name=name, connect_timeout=Duration(seconds=-1))
