"""The control plane at run time: a real mesh file that changes, a real registry, and expiries."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from detour.discovery.mesh_file import read
from detour.mesh import Endpoint, ForbiddenEndpointError, OffloadedDeployment
from detour.offload.ownership import OwnedByAnotherError
from detour.offload.registry import Registry
from detour.server import ControlPlane, DeploymentConflictError, UnknownServiceError
from detour.server.sources import MeshFile, Registered
from detour.xds.catalog import CLUSTER
from raw_client import RawClient, channel_to
from server.conftest import ADMIN

HERE, THERE = (Endpoint("127.0.0.1", 9101),), (Endpoint("127.0.0.1", 9102),)
FILED = "services:\n  users:\n    endpoints: []\n    deployments: {pr-42: {endpoints: ['127.0.0.1:9102']}}\n"
BARE = "services: {users: {endpoints: []}}\n"


@asynccontextmanager
async def at_work(plane: ControlPlane) -> AsyncIterator[None]:
    """Run a control plane's tasks: it follows its file and expires deployments."""
    task = asyncio.create_task(plane.follow())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def problem(plane: ControlPlane) -> Exception | None:
    """Return the mistake in the file."""
    return plane.sources[0].problem


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.01)


def endpoints(plane: ControlPlane, name: str = "pr-42") -> tuple[Endpoint, ...] | None:
    """Return the endpoints of a deployment of users; None if it does not exist."""
    found = plane.mesh.deployment("users", name)
    return found.endpoints if found else None


async def test_a_deployment_expires(plane, registry):
    """It is removed from the mesh and from the disk; others stay."""
    soon, late = datetime.now(UTC) + timedelta(milliseconds=50), datetime.now(UTC) + timedelta(hours=1)
    await plane.deployments.register(ADMIN, OffloadedDeployment("users", "pr-42", HERE, "ana", soon))
    await plane.deployments.register(ADMIN, OffloadedDeployment("users", "pr-7", HERE, "ana", late))
    async with at_work(plane):
        await eventually(lambda: endpoints(plane) is None and len(registry.all()) == 1)
    assert endpoints(plane, "pr-7") == HERE


async def test_a_deployment_of_the_file_expires(plane, mesh_file):
    """Although the file still contains it."""
    soon = (datetime.now(UTC) + timedelta(milliseconds=900)).isoformat()
    async with at_work(plane):
        mesh_file.write_text(FILED.replace("]}", f"], expires: '{soon}'}}"))
        await eventually(lambda: endpoints(plane) == THERE)
        await eventually(lambda: endpoints(plane) is None)
    assert problem(plane) is None


async def test_a_disk_failure_does_not_stop_expiry(plane, registry, state):
    """Expired deployments are no longer served, and the failure is a problem until the disk works again."""
    soon = datetime.now(UTC) + timedelta(milliseconds=50)
    await plane.deployments.register(ADMIN, OffloadedDeployment("users", "pr-42", HERE, "ana", soon))
    with sqlite3.connect(state) as other:
        other.execute("ALTER TABLE deployments RENAME TO lost")
    async with at_work(plane):
        await eventually(lambda: endpoints(plane) is None and plane.failures != [])
        assert "expired deployments could not be removed from disk" in plane.failures[0]
        with other:
            other.execute("ALTER TABLE lost RENAME TO deployments")
        await eventually(lambda: plane.failures == [])
    other.close()
    assert registry.all() == ()


async def test_the_file_takes_precedence(plane, mesh_file):
    """Over a registered deployment of the same name, which is served again once the file no longer has it."""
    await plane.deployments.register(ADMIN, OffloadedDeployment("users", "pr-42", HERE, "ana"))
    async with at_work(plane):
        mesh_file.write_text(FILED)
        await eventually(lambda: endpoints(plane) == THERE)
        with pytest.raises(DeploymentConflictError, match="is defined in the mesh file"):
            await plane.deployments.remove(ADMIN, "users", "pr-42")
        mesh_file.write_text(BARE)
        await eventually(lambda: endpoints(plane) == HERE)


async def test_a_restart_keeps_registrations(plane, registry, mesh_file):
    """A control plane with the same state serves them at once, without expired ones."""
    now = datetime.now(UTC)
    await plane.deployments.register(
        ADMIN, OffloadedDeployment("users", "pr-42", HERE, "ana", now + timedelta(hours=1))
    )
    registry.add(OffloadedDeployment("users", "old", HERE, "ana", now - timedelta(seconds=1)))
    after = ControlPlane([MeshFile(mesh_file, read(mesh_file)), registered := Registered(registry)], registered)
    assert endpoints(after) == HERE
    assert endpoints(after, "old") is None
    await after.ads.stop()


async def test_registered_endpoints_that_became_forbidden(registry, mesh_file):
    """They are not served, and the server's problems say why; the deployment's other endpoints are."""
    registry.add(OffloadedDeployment("users", "old", (Endpoint("169.254.169.254", 80), *HERE), "ana"))
    registry.add(OffloadedDeployment("users", "new", HERE, "ana"))
    plane = ControlPlane([MeshFile(mesh_file, read(mesh_file)), registered := Registered(registry)], registered)
    assert endpoints(plane, "old") == endpoints(plane, "new") == HERE
    (problem,) = plane.failures
    assert problem.startswith("users@old is not served at 169.254.169.254:80: 169.254.0.0/16 is link-local")
    await plane.deployments.remove(ADMIN, "users", "old")
    assert plane.failures == []
    await plane.ads.stop()


async def test_ports_of_the_server_and_of_envoys_cannot_be_registered(plane):
    """Any port of the server; those of an Envoy while it is connected."""
    port = await plane.ads.start("127.0.0.1:0")
    plane.listening[Endpoint("0.0.0.0", 4321)] = "Detour's API"
    here = OffloadedDeployment("users", "x", (Endpoint("127.0.0.1", 4321),))
    with pytest.raises(ForbiddenEndpointError, match=r"4321 is refused: that is Detour's API"):
        await plane.deployments.register(ADMIN, here)
    there = OffloadedDeployment("users", "x", (Endpoint("127.0.0.1", 5432),))
    async with channel_to(port) as channel:
        client = RawClient(channel, ports=[5432])
        await client.ask(CLUSTER, "users")
        with pytest.raises(ForbiddenEndpointError, match="that is a port of the Envoy raw"):
            await plane.deployments.register(ADMIN, there)
        client.abort()
        await eventually(lambda: not plane.ads.connections)
    await plane.deployments.register(ADMIN, there)


async def test_a_broken_file_keeps_the_mesh(plane, mesh_file):
    """The mistake is a problem until it is corrected."""
    async with at_work(plane):
        good = mesh_file.read_text()
        mesh_file.write_text("services: [")
        await eventually(lambda: problem(plane) is not None)
        assert str(problem(plane)).startswith(f"{mesh_file}:1: is not YAML")
        assert plane.mesh.services.keys() == {"users", "payments"}
        mesh_file.write_text(good)
        await eventually(lambda: problem(plane) is None)


async def test_a_missing_file_keeps_the_mesh(plane, mesh_file):
    """Briefly, as when an editor replaces it, or permanently."""
    async with at_work(plane):
        mesh_file.unlink()
        await eventually(lambda: problem(plane) is not None)
        assert plane.mesh.services.keys() == {"users", "payments"}
        mesh_file.write_text(BARE)
        await eventually(lambda: plane.mesh.services.keys() == {"users"})
    assert problem(plane) is None


async def test_a_missing_folder_is_a_problem(plane, mesh_file):
    """The file can no longer be watched; its last content stays in force."""
    async with at_work(plane):
        mesh_file.unlink()
        mesh_file.parent.rmdir()
        await eventually(lambda: problem(plane) is not None)
        assert plane.mesh.services.keys() == {"users", "payments"}


async def test_a_removed_service_keeps_its_registrations(plane, mesh_file):
    """If the service returns, so do its deployments; meanwhile, none can be added."""
    await plane.deployments.register(ADMIN, OffloadedDeployment("users", "pr-42", HERE, "ana"))
    async with at_work(plane):
        mesh_file.write_text("services: {web: {endpoints: []}}\n")
        await eventually(lambda: "users" not in plane.mesh.services)
        with pytest.raises(UnknownServiceError, match="no service users"):
            await plane.deployments.register(ADMIN, OffloadedDeployment("users", "pr-7", HERE, "ana"))
        mesh_file.write_text(BARE)
        await eventually(lambda: "users" in plane.mesh.services)
    assert endpoints(plane) == HERE


async def test_of_two_simultaneous_registrations_one_wins(plane):
    """The mesh and the registry agree."""

    async def attempt(owner: str) -> bool:
        try:
            await plane.deployments.register(ADMIN, OffloadedDeployment("users", "pr-42", HERE, owner))
        except OwnedByAnotherError:
            return False
        return True

    owners = [f"owner-{number}" for number in range(20)]
    won = [owner for owner, has in zip(owners, await asyncio.gather(*map(attempt, owners)), strict=True) if has]
    assert [plane.mesh.deployment("users", "pr-42").owner] == won


async def test_many_at_once(plane, registry: Registry):
    """Many simultaneous registrations and removals leave mesh and disk equal."""
    names = [f"pr-{number}" for number in range(50)]
    await asyncio.gather(
        *(plane.deployments.register(ADMIN, OffloadedDeployment("users", name, HERE)) for name in names)
    )
    removed = await asyncio.gather(*(plane.deployments.remove(ADMIN, "users", name) for name in names[::2]))
    assert all(removed)
    served = {name for service, name in plane.mesh.deployments if (service, name) != ("users", "filed")}
    assert served == {one.name for one in registry.all()} == set(names[1::2])
