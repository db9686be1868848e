"""CONNECT through a sidecar: what can't work says so, and everything else passes."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from detour.mesh import Endpoint, OffloadedDeployment, Port, Protocol, Service, ServiceApplied
from parts import Client, MeshUnderTest, grpc_instance, http_instance, running_mesh
from server_certificate import certificate


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[MeshUnderTest]:
    """Run a service of each protocol."""
    async with AsyncExitStack() as stack:
        start = stack.enter_async_context
        users, greeter = await start(http_instance("users-1")), await start(grpc_instance("greeter-1"))
        services = [
            Service("users", (users,), Protocol.HTTP1),
            Service("greeter", (greeter,), Protocol.HTTP2),
            Service("db", (users,), Protocol.TCP),
        ]
        deployments = [OffloadedDeployment("users", "pr-42", (await start(http_instance("users-pr-42")),))]
        yield await start(running_mesh(tmp_path, services, deployments))


@pytest.fixture
async def caller(mesh: MeshUnderTest) -> Client:
    """Return a client that calls through a sidecar."""
    return await mesh.sidecar()


@asynccontextmanager
async def tunnel(
    caller: Client, authority: str, baggage: str = ""
) -> AsyncIterator[tuple[str, asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a tunnel; yield the sidecar's answer, up to its body, and what to speak through it with."""
    reader, writer = await asyncio.open_connection("127.0.0.1", caller.port)
    try:
        header = f"baggage: {baggage}\r\n" if baggage else ""
        writer.write(f"CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n{header}\r\n".encode())
        async with asyncio.timeout(20):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            yield head, reader, writer
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("authority", "baggage", "why"),
    [
        (
            "users:443",
            "",
            "service users speaks plain HTTP, but this CONNECT is for https: call http://users/ instead",
        ),
        ("db:5432", "override.route.db=pr-1", "overrides of db have no effect: the mesh says protocol: tcp"),
        ("db:443", "override%2Eabort.db=503", "(TLS, for example). Call it with http:// instead"),
        (
            "127.0.0.1:1",
            "override.delay.127.0.0.1=1s",
            "overrides of 127.0.0.1 have no effect: it is outside the mesh",
        ),
    ],
)
async def test_what_cannot_work_is_refused(caller: Client, authority: str, baggage: str, why: str) -> None:
    """Where it is sent: TLS to plain HTTP, and overrides of what nobody reads."""
    async with tunnel(caller, authority, baggage) as (head, reader, _):
        assert head.startswith("HTTP/1.1 503")
        body = (await reader.read(1000)).decode()
    assert body.startswith("Detour: ")
    assert why in body


@pytest.mark.parametrize(
    ("authority", "baggage", "instance"),
    [
        ("users:80", "override.route.users=pr-1", "users-1"),
        ("db:5432", "override.route.users=pr-42,team=a", "users-1"),
        ("users:8080", "", "users-1"),
    ],
)
async def test_everything_else_passes(caller: Client, authority: str, baggage: str, instance: str) -> None:
    """What is read counts as its own headers say, and overrides of others are no matter."""
    async with tunnel(caller, authority, baggage) as (head, reader, writer):
        assert head.startswith("HTTP/1.1 200")
        writer.write(b"GET / HTTP/1.1\r\nhost: users\r\n\r\n")
        assert f'"{instance}"'.encode() in await reader.readuntil(b'"headers"')


async def test_tls_passes_unread_to_a_port_that_is_not_declared(
    mesh: MeshUnderTest, caller: Client, tmp_path: Path
) -> None:
    """As gRPC clients send it to a port such as `server`; with an override, which it would hide, it is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made = certificate("secret", tmp_path)
    context.load_cert_chain(made)

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"secret")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        port = Port(endpoints=(Endpoint("127.0.0.1", server.sockets[0].getsockname()[1]),))
        declared = Port(Protocol.HTTP1, port.endpoints)
        mesh.apply(ServiceApplied(Service("secret", port.endpoints, ports={8081: port, 8082: declared})))
        async with tunnel(caller, "secret:8081") as (head, reader, writer):
            assert head.startswith("HTTP/1.1 200")
            await writer.start_tls(ssl.create_default_context(cafile=made), server_hostname="secret")
            assert await reader.read() == b"secret"
        for authority, baggage in (("secret:8081", "override.route.secret=pr-1"), ("secret:8082", "")):
            async with tunnel(caller, authority, baggage) as (_, _, writer):
                with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
                    await writer.start_tls(ssl.create_default_context(), server_hostname="secret")


@pytest.mark.parametrize("authority", ["users:8443", "greeter:443"])
async def test_tls_to_plain_http_gets_an_alert_and_a_line_in_the_log(
    mesh: MeshUnderTest, caller: Client, authority: str
) -> None:
    """Not "wrong version number"."""
    name = authority.partition(":")[0]
    async with tunnel(caller, authority) as (_, _, writer):
        with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
            await writer.start_tls(ssl.create_default_context(), server_hostname=name)
    log, line = mesh.logs / f"{caller.settings.instance}.log", f"a client spoke TLS to {name} through this sidecar"
    async with asyncio.timeout(20):
        while line not in log.read_text():
            await asyncio.sleep(0.05)
