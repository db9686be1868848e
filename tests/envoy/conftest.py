"""A mesh with real Envoys: users (with pr-42), greeter (gRPC, with pr-7) and a service without instances."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from detour.mesh import OffloadedDeployment, Protocol, Service
from parts import Client, MeshUnderTest, edge_of, grpc_instance, http_instance, running_mesh


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[MeshUnderTest]:
    """Run the mesh."""
    async with AsyncExitStack() as stack:
        start = stack.enter_async_context
        users, users_pr = await start(http_instance("users-1")), await start(http_instance("users-pr-42"))
        greeter, greeter_pr = await start(grpc_instance("greeter-1")), await start(grpc_instance("greeter-pr-7"))
        services = [
            Service("users", (users,)),
            Service("greeter", (greeter,), Protocol.HTTP2),
            Service("nobody"),
        ]
        deployments = [
            OffloadedDeployment("users", "pr-42", (users_pr,)),
            OffloadedDeployment("greeter", "pr-7", (greeter_pr,)),
        ]
        yield await start(running_mesh(tmp_path, services, deployments, edge_of(any="users")))


@pytest.fixture
async def caller(mesh: MeshUnderTest) -> Client:
    """Return a client that calls through a sidecar, as HTTP proxy."""
    return await mesh.sidecar()
