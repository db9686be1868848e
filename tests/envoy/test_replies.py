"""What Envoys answer themselves, through real ones: who failed, where, and the likely cause; never a bare error."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import httpx
import pytest

from detour.mesh import Endpoint, OffloadedDeployment, Protocol, Service
from parts import Client, MeshUnderTest, edge_of, grpc_instance, http_instance, running_mesh
from ports import free_port


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[Endpoint]:
    """Run a server that reads something, answers with these bytes, and closes the connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[MeshUnderTest]:
    """Run services that fail in every way."""
    async with AsyncExitStack() as stack:
        start = stack.enter_async_context
        users, greeter = await start(http_instance("users-1")), await start(grpc_instance("greeter-1"))
        gone = Endpoint("127.0.0.1", free_port())
        services = [
            Service("users", (users,)),
            Service("gone", (gone,)),
            Service("gone-grpc", (gone,), Protocol.HTTP2),
            Service("closes", (await start(answering(b"")),)),
            Service("tls", (await start(answering(b"\x15\x03\x01\x00\x02\x02\x46")),), Protocol.HTTP1),
            Service("http1-only", (users,), Protocol.HTTP2),
            Service("http2-only", (greeter,), Protocol.HTTP1),
            Service("undeclared", (greeter,)),
            Service("other", (greeter,), Protocol.TCP),
        ]
        deployments = [OffloadedDeployment("users", "pr-42", (gone,))]
        yield await start(running_mesh(tmp_path, services, deployments, edge_of(any="users")))


@pytest.fixture
async def caller(mesh: MeshUnderTest) -> Client:
    """Return a client that calls through a sidecar."""
    return await mesh.sidecar()


async def test_a_failure_names_the_service_its_endpoint_and_the_likely_cause(
    mesh: MeshUnderTest, caller: Client
) -> None:
    """Connections refused and closed, and protocols that are not what the mesh says."""
    for service, status, cause in (
        ("gone", 503, "cannot be reached (delayed_connect_error:_Connection_refused); most likely nothing listens"),
        ("closes", 503, "closed the connection before it answered"),
        (
            "tls",
            502,
            "called with HTTP/1.1, as the mesh says (protocol: http1); the service may speak HTTP/2 or TLS",
        ),
        ("http1-only", 502, "called with HTTP/2, as the mesh says (protocol: http2)"),
        ("http2-only", 502, "called with HTTP/1.1, as the mesh says (protocol: http1)"),
        (
            "undeclared",
            502,
            "called with the protocol of the request, because the mesh declares none; the service may",
        ),
        (
            "other",
            502,
            "called with the protocol of the request, although the mesh says that it does not speak HTTP",
        ),
    ):
        answer = await caller.get(f"http://{service}/")
        (endpoint,) = mesh.ads.mesh.services[service].endpoints
        assert answer.status_code == status
        assert answer.text.startswith(f"Detour: service {service} at {endpoint} ")
        assert cause in answer.text
    answer = await caller.get("http://users/", headers={"baggage": "override.route.users=pr-42"})
    assert answer.text.startswith(
        f"Detour: deployment pr-42 of service users at {mesh.ads.mesh.services['gone'].endpoints[0]} cannot"
    )


async def test_what_is_behind_a_sidecar_or_outside_the_mesh_is_named_as_well(caller: Client) -> None:
    """The application that is not there, and a host that is none of the mesh's."""
    async with httpx.AsyncClient(trust_env=False) as direct:
        answer = await direct.get(f"http://127.0.0.1:{caller.settings.inbound_port}/")
    assert answer.status_code == 503
    assert (
        f"the application behind this sidecar, at 127.0.0.1:{caller.settings.app_port} (--app-port)," in answer.text
    )
    outside = f"127.0.0.1:{free_port()}"
    answer = await caller.get(f"http://{outside}/")
    assert answer.text.startswith(f"Detour: {outside}, which is outside the mesh, at {outside} cannot be reached")


async def test_an_answer_that_an_override_made_up_says_so(mesh: MeshUnderTest, caller: Client) -> None:
    """In the body and in a header, at sidecars and edges; a service's own answer never does."""
    edge = await mesh.edge(trust_overrides=True)
    for client, url in ((caller, "http://users/"), (edge, "/")):
        answer = await client.get(url, headers={"baggage": "override.abort.users=503"})
        assert (answer.status_code, answer.headers["x-detour-fault"]) == (503, "override.abort.users")
        assert answer.text.startswith(
            "Detour: override.abort.users=503 in this request's baggage caused this response"
        )
        assert "x-detour-fault" not in (await client.get(url)).headers


async def failed_call(caller: Client, service: str, baggage: str) -> grpc.aio.AioRpcError:
    """Return how a gRPC call to a service fails."""
    options = [("grpc.default_authority", service), ("grpc.enable_http_proxy", 0)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{caller.port}", options=options) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await channel.unary_unary("/test.Echo/Unary")(b"x", metadata=[("baggage", baggage)], timeout=20)
    return failed.value


async def test_grpc_clients_get_the_sentence_with_their_status(caller: Client) -> None:
    """As the details of UNAVAILABLE, or of the code that an override names."""
    error = await failed_call(caller, "gone-grpc", "a=b")
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert error.details().startswith("Detour: service gone-grpc at 127.0.0.1:")
    error = await failed_call(caller, "users", "override.abort.users=7")
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert error.details().startswith("Detour: override.abort.users=7 in this request's baggage")
