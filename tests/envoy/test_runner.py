"""Starting the Envoy binary, and what is said when that fails."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from detour.envoy import Edge, EnvoyError, Sidecar, edge_bootstrap, find_envoy, sidecar_bootstrap, start_envoy
from ports import free_port


def own_ports() -> Sidecar:
    """Return a sidecar whose control plane is absent."""
    ports = {name: free_port() for name in ("app_port", "outbound_port", "inbound_port", "admin_port")}
    return Sidecar(service="users", instance="users-1", control_plane=f"127.0.0.1:{free_port()}", **ports)


@pytest.mark.parametrize(
    "bootstrap",
    [
        sidecar_bootstrap(Sidecar("users", "users-1", 8080)),
        edge_bootstrap(Edge()),
        edge_bootstrap(Edge(listen="[::1]:80")),
    ],
)
def test_envoy_accepts_every_bootstrap(bootstrap: dict) -> None:
    """Envoy's own validation, with the whole schema."""
    command = [str(find_envoy()), "--mode", "validate", "--config-yaml", json.dumps(bootstrap)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


async def test_inbound_serves_without_a_control_plane(tmp_path: Path) -> None:
    """An instance that starts while the control plane is away can be called all the same."""
    process = start_envoy(sidecar_bootstrap(own_ports()), tmp_path / "log")
    try:
        await process.ready(20)
    finally:
        await process.stop()
    assert process.returncode == 0


async def test_a_busy_port_is_said(tmp_path: Path) -> None:
    """The address and the reason, from Envoy's own log."""
    sidecar = own_ports()
    with socket.create_server(("127.0.0.1", sidecar.outbound_port)):
        process = start_envoy(sidecar_bootstrap(sidecar), tmp_path / "log")
        with pytest.raises(EnvoyError, match=f"127.0.0.1:{sidecar.outbound_port}.*in use"):
            await process.ready(20)
        await process.stop()


def test_a_missing_envoy_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With what to do about it."""
    monkeypatch.setenv("DETOUR_ENVOY", str(tmp_path / "envoy"))
    with pytest.raises(EnvoyError, match=r"DETOUR_ENVOY=.*is not an executable file"):
        find_envoy()


async def test_an_envoy_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Even if that is killed and can clean nothing up."""
    bootstrap = sidecar_bootstrap(own_ports())
    code = (
        "import json, pathlib, sys, time\nfrom detour.envoy import start_envoy\n"
        f"process = start_envoy(json.loads(sys.argv[1]), pathlib.Path({str(tmp_path / 'log')!r}))\n"
        "print(process.pid, flush=True)\ntime.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(bootstrap)], stdout=subprocess.PIPE, text=True
    )
    with parent:
        envoy = int(parent.stdout.readline())
        async with asyncio.timeout(20):
            while Path(f"/proc/{envoy}/comm").read_text().strip() != "envoy":
                await asyncio.sleep(0.02)
        parent.send_signal(signal.SIGKILL)
    async with asyncio.timeout(20):
        while _runs(envoy):
            await asyncio.sleep(0.02)


def _runs(pid: int) -> bool:
    """Say whether a process is alive; one that has ended and was not waited for is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
