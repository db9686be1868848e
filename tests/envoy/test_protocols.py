"""Everything that speaks HTTP passes through a real sidecar, with and without an override."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import grpc
import httpx
import pytest
import websockets

from detour.mesh import Protocol, ServiceApplied
from parts import Client, MeshUnderTest, grpc_instance

OVERRIDE = ("baggage", "override.route.greeter=pr-7")
BOTH = pytest.mark.parametrize(("metadata", "instance"), [((), b"greeter-1"), ((OVERRIDE,), b"greeter-pr-7")])


async def requests(*parts: bytes) -> AsyncIterator[bytes]:
    """Return a stream of requests."""
    for part in parts:
        yield part


@pytest.fixture
async def tunnel(caller: Client) -> AsyncIterator[grpc.aio.Channel]:
    """Return a channel as grpcio makes it from `http_proxy`: with a CONNECT to the sidecar."""
    options = [("grpc.http_proxy", f"http://127.0.0.1:{caller.port}")]
    async with grpc.aio.insecure_channel("greeter:50051", options=options) as channel:
        yield channel


@pytest.fixture
async def straight(caller: Client) -> AsyncIterator[grpc.aio.Channel]:
    """Return a channel straight to the listener, which names the service as its authority."""
    options = [("grpc.default_authority", "greeter:50051"), ("grpc.enable_http_proxy", 0)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{caller.port}", options=options) as channel:
        yield channel


@pytest.fixture(params=["tunnel", "straight"])
def channel(request: pytest.FixtureRequest) -> grpc.aio.Channel:
    """Return each of the two in turn."""
    return request.getfixturevalue(request.param)


@BOTH
async def test_grpc_unary(channel: grpc.aio.Channel, metadata: Sequence, instance: bytes) -> None:
    """One request, one response."""
    assert await channel.unary_unary("/test.Echo/Unary")(b"a", metadata=metadata) == instance + b":a"


@BOTH
async def test_grpc_server_stream(channel: grpc.aio.Channel, metadata: Sequence, instance: bytes) -> None:
    """One request, several responses."""
    call = channel.unary_stream("/test.Echo/UnaryStream")(b"a", metadata=metadata)
    assert [part async for part in call] == [instance + b":a1", instance + b":a2"]


@BOTH
async def test_grpc_client_stream(channel: grpc.aio.Channel, metadata: Sequence, instance: bytes) -> None:
    """Several requests, one response."""
    call = channel.stream_unary("/test.Echo/StreamUnary")
    assert await call(requests(b"a", b"b"), metadata=metadata) == instance + b":ab"


@BOTH
async def test_grpc_both_streams(channel: grpc.aio.Channel, metadata: Sequence, instance: bytes) -> None:
    """A conversation: each request is answered before the next is sent, also on a service's very first call."""
    call = channel.stream_stream("/test.Echo/StreamStream")(metadata=metadata)
    for part in (b"a", b"b"):
        await call.write(part)
        assert await call.read() == instance + b":" + part
    await call.done_writing()
    assert await call.code() == grpc.StatusCode.OK


async def test_grpc_says_what_is_missing(channel: grpc.aio.Channel) -> None:
    """A gRPC client gets UNAVAILABLE and the same words as an HTTP client."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await channel.unary_unary("/test.Echo/Unary")(b"", metadata=[("baggage", "override.route.greeter=pr-404")])
    assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "no ready instance of deployment pr-404 of service greeter" in raised.value.details()


@pytest.mark.parametrize(
    ("abort", "code"), [("5", grpc.StatusCode.NOT_FOUND), ("503", grpc.StatusCode.UNAVAILABLE)]
)
async def test_grpc_fails_with_the_code_that_an_override_asks_for(
    channel: grpc.aio.Channel, abort: str, code: grpc.StatusCode
) -> None:
    """0 to 16 are gRPC codes; anything higher is an HTTP status, which gRPC translates."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await channel.unary_unary("/test.Echo/Unary")(
            b"", metadata=[("baggage", f"override.abort.greeter={abort}")]
        )
    assert raised.value.code() == code


@pytest.mark.parametrize(
    ("headers", "instance"), [({}, "users-1"), ({"baggage": "override.route.users=pr-42"}, "users-pr-42")]
)
async def test_websocket(caller: Client, headers: dict[str, str], instance: str) -> None:
    """A WebSocket opens to the baseline or the deployment, and carries messages both ways."""
    async with websockets.connect(
        "ws://users/ws", additional_headers=headers, host="127.0.0.1", port=caller.port, proxy=None
    ) as socket:
        assert await socket.recv() == instance
        await socket.send("hello")
        assert await socket.recv() == "hello"


async def test_websocket_through_a_connect_tunnel(caller: Client) -> None:
    """WebSocket clients behind a proxy ask for a tunnel first."""
    async with websockets.connect("ws://users/ws", proxy=f"http://127.0.0.1:{caller.port}") as socket:
        assert await socket.recv() == "users-1"


async def test_http2_from_client_to_an_http1_service(mesh: MeshUnderTest, caller: Client) -> None:
    """What an instance speaks is the service's setting, whatever the client speaks."""
    users = mesh.ads.mesh.services["users"]
    mesh.apply(ServiceApplied(replace(users, protocol=Protocol.HTTP1)))
    process = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--http2-prior-knowledge", "--header", "Host: users"),
        *("--header", "baggage: override.route.users=pr-42", "--write-out", " %{http_version}"),
        f"http://127.0.0.1:{caller.port}/",
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert b'"instance":"users-pr-42"' in output
    assert output.endswith(b" 2")


async def test_requests_of_one_connection_are_routed_each_by_itself(caller: Client) -> None:
    """Several requests with different overrides share it."""
    async with httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=1)) as client:
        seen = []
        for baggage in ("", "override.route.users=pr-42", "", "override.route.users=pr-404"):
            headers = {"host": "users", "baggage": baggage}
            answer = await client.get(f"http://127.0.0.1:{caller.port}/", headers=headers)
            seen.append(answer.headers.get("x-detour-served-by"))
    assert seen == [None, "users@pr-42", None, "users@pr-404"]


async def test_a_tunnel_to_the_outside_is_a_plain_tunnel(caller: Client) -> None:
    """CONNECT to a host outside the mesh carries bytes, whatever they are: TLS, or anything else."""

    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    async with server:
        authority = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        reader, writer = await asyncio.open_connection("127.0.0.1", caller.port)
        writer.write(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"not http at all\n")
        assert await reader.readline() == b"NOT HTTP AT ALL\n"
        writer.close()
        await writer.wait_closed()


async def test_grpc_reaches_an_application_through_its_inbound_listener(mesh: MeshUnderTest) -> None:
    """What arrives goes to the application in the protocol that it came in."""
    async with grpc_instance("application") as application:
        sidecar = await mesh.sidecar(app_port=application.port)
        target = f"127.0.0.1:{sidecar.settings.inbound_port}"
        async with grpc.aio.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)]) as channel:
            assert await channel.unary_unary("/test.Echo/Unary")(b"a") == b"application:a"
