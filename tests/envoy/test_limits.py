"""No way through Envoy has a limit of its own: many requests at once are as many at the application."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import pytest

from detour.mesh import Endpoint, Protocol, RetryPolicy, Service, ServiceApplied
from parts import MeshUnderTest
from wire import OK, connected, listening, read_request

MANY = 1_100
"""More than the 1,024 connections and requests that Envoy allows a cluster unless it is told otherwise."""

OVERRIDE = "baggage: override.route.held=pr-7\r\n"


@dataclass
class Held:
    """An application that answers nobody before all are there."""

    waiting: int = 0
    all_there: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hold the one request of a connection."""
        await read_request(reader)
        await self.wait()
        writer.write(OK)

    async def wait(self) -> None:
        """Hold a request."""
        self.waiting += 1
        if self.waiting == MANY:
            self.all_there.set()
        await self.all_there.wait()


async def _status(port: int, request: bytes) -> bytes:
    async with connected(port) as (reader, writer):
        writer.write(request)
        return (await reader.readline())[9:12]


@pytest.mark.parametrize("way", ["deployment", "edge", "inbound", "outside"])
async def test_as_many_at_once_as_there_are(mesh: MeshUnderTest, way: str) -> None:
    """On HTTP/1 each has a connection of its own, as WebSockets have."""
    held = Held()
    async with listening(held.serve) as endpoint:
        mesh.apply(ServiceApplied(Service("held", (endpoint,))), ServiceApplied(Service("users", (endpoint,))))
        mesh.register("held", "pr-7", endpoint)
        host, more = (str(endpoint), "") if way == "outside" else ("held", OVERRIDE if way == "deployment" else "")
        request = f"GET / HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode()
        port = await _port(mesh, way, endpoint)
        async with asyncio.timeout(20):
            statuses = await asyncio.gather(*(_status(port, request) for _ in range(MANY)))
    assert set(statuses) == {b"200"}


async def _port(mesh: MeshUnderTest, way: str, endpoint: Endpoint) -> int:
    if way == "edge":
        return (await mesh.edge(trust_overrides=False)).port
    sidecar = await mesh.sidecar(app_port=endpoint.port)
    return sidecar.settings.inbound_port if way == "inbound" else sidecar.port


@asynccontextmanager
async def _grpc_server(unary: Callable, *options: tuple[str, int]) -> AsyncIterator[Endpoint]:
    server = grpc.aio.server(options=options)
    methods = {"Unary": grpc.unary_unary_rpc_method_handler(unary)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Held", methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield Endpoint("127.0.0.1", port)
    finally:
        await server.stop(0)


async def test_as_many_calls_on_one_connection(mesh: MeshUnderTest) -> None:
    """HTTP/2: one connection of a client takes all of them, and so does the deployment's cluster."""
    held = Held()

    async def unary(request: bytes, _context) -> bytes:
        await held.wait()
        return request

    async with _grpc_server(unary) as endpoint:
        mesh.apply(ServiceApplied(Service("held", (endpoint,), Protocol.HTTP2)))
        mesh.register("held", "pr-7", endpoint)
        caller = await mesh.sidecar()
        options = [("grpc.default_authority", "held"), ("grpc.enable_http_proxy", 0)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{caller.port}", options=options) as channel:
            call = channel.unary_unary("/test.Held/Unary")
            metadata = [("baggage", "override.route.held=pr-7")]
            async with asyncio.timeout(20):
                answers = await asyncio.gather(*(call(b"a", metadata=metadata) for _ in range(MANY)))
    assert answers == [b"a"] * MANY


async def test_a_server_that_takes_a_hundred_calls_at_once_gets_them_all(mesh: MeshUnderTest) -> None:
    """As many servers do on one connection, and say so when it has begun: the others take another one."""

    async def unary(request: bytes, _context) -> bytes:
        await asyncio.sleep(0.01)
        return request

    async with _grpc_server(unary, ("grpc.max_concurrent_streams", 100)) as endpoint:
        mesh.apply(ServiceApplied(Service("few", (endpoint,), Protocol.HTTP2)))
        caller = await mesh.sidecar()
        options = [("grpc.default_authority", "few"), ("grpc.enable_http_proxy", 0)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{caller.port}", options=options) as channel:
            call = channel.unary_unary("/test.Held/Unary")
            assert await asyncio.gather(*(call(b"a") for _ in range(500))) == [b"a"] * 500


@pytest.mark.parametrize("more", ["", OVERRIDE], ids=["baseline", "deployment"])
async def test_as_many_retries_as_a_service_asks_for(mesh: MeshUnderTest, more: str) -> None:
    """Envoy's own limit is three at once, for all requests of a cluster."""
    tried: set[bytes] = set()

    async def fail_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader)
            writer.write(OK if request in tried else OK.replace(b"200 OK", b"500 No"))
            tried.add(request)

    async with listening(fail_first) as endpoint:
        mesh.apply(ServiceApplied(Service("held", (endpoint,), retries=RetryPolicy(2, ("5xx",)))))
        mesh.register("held", "pr-7", endpoint)
        caller = await mesh.sidecar()
        requests = [f"GET /{number} HTTP/1.1\r\nHost: held\r\n{more}\r\n".encode() for number in range(50)]
        statuses = await asyncio.gather(*(_status(caller.port, request) for request in requests))
    assert set(statuses) == {b"200"}
