"""A connection that a server has just closed costs nobody a request; none is sent twice that must not be."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest_asyncio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import StreamEnded

from detour.mesh import Endpoint, Protocol, RetryPolicy, Service, ServiceApplied
from parts import Client, MeshUnderTest
from wire import OK, connected, listening, read_request

WAYS = ("sidecar", "deployment", "edge", "inbound", "outside")


@dataclass
class Stale:
    """An application that closes each connection when the second request arrives on it, as if it had been idle."""

    seen: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.seen.append(await read_request(reader))
        writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")
        self.seen.append(b"lost")
        writer.transport.abort()


@dataclass
class Ways:
    """The same application, by every way."""

    stale: Stale
    endpoint: Endpoint
    ports: dict[str, int]

    async def statuses(self, way: str, method: str, lines: str = "", body: str = "") -> list[int]:
        """Send six requests by one way, one after the other."""
        host = str(self.endpoint) if way == "outside" else "users"
        lines += "baggage: override.route.users=pr-42\r\n" if way == "deployment" else ""
        request = f"{method} / HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n{body}".encode()
        self.stale.seen.clear()
        return [await self._status(way, request) for _ in range(6)]

    async def _status(self, way: str, request: bytes) -> int:
        async with connected(self.ports[way]) as (reader, writer):
            writer.write(request)
            return int((await reader.readline())[9:12])


@pytest_asyncio.fixture
async def ways(mesh: MeshUnderTest) -> AsyncIterator[Ways]:
    """Start a sidecar and an edge."""
    stale = Stale()
    async with listening(stale.serve) as endpoint:
        mesh.apply(ServiceApplied(Service("users", (endpoint,))))
        mesh.register("users", "pr-42", endpoint)
        sidecar = await mesh.sidecar(app_port=endpoint.port)
        edge = await mesh.edge(trust_overrides=False)
        inbound = sidecar.settings.inbound_port
        ports = dict(zip(WAYS, (sidecar.port, sidecar.port, edge.port, inbound, sidecar.port), strict=True))
        yield Ways(stale, endpoint, ports)


async def test_a_stale_connection_fails_no_request_that_may_be_repeated(ways: Ways) -> None:
    """By whatever way; some of them did meet one."""
    for way in WAYS:
        for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE"):
            assert (way, method, await ways.statuses(way, method)) == (way, method, [200] * 6)
        assert b"lost" in ways.stale.seen


async def test_a_body_is_sent_again_with_its_request(ways: Ways) -> None:
    """Envoy has kept it."""
    body = "a" * 10_000
    assert await ways.statuses("sidecar", "PUT", f"Content-Length: {len(body)}\r\n", body) == [200] * 6
    assert all(seen.endswith(body.encode()) for seen in ways.stale.seen if seen != b"lost")


async def test_a_body_that_is_too_large_to_be_kept_passes(mesh: MeshUnderTest, caller: Client) -> None:
    """It is only not sent again."""
    answer = await caller.put("http://users/", content=b"a" * 5_000_000)
    assert answer.json()["length"] == 5_000_000


async def test_a_request_that_an_application_may_have_seen_is_not_repeated(ways: Ways) -> None:
    """What POST does may be done by then, although no answer has come."""
    for way in WAYS:
        for method in ("POST", "PATCH", "ANYTHING"):
            await ways.statuses(way, method)
            assert len(ways.stale.seen) == 6


async def test_what_an_http2_server_has_not_processed_is_sent_again(mesh: MeshUnderTest, caller: Client) -> None:
    """Also POST, as every gRPC call is: GOAWAY says which requests the server has seen."""
    connections = 0

    async def going_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        server = H2Connection(H2Configuration(client_side=False))
        server.initiate_connection()
        answered = 0
        while data := await reader.read(65536):
            for event in server.receive_data(data):
                if isinstance(event, StreamEnded) and not answered:
                    server.send_headers(event.stream_id, [(":status", "200")], end_stream=True)
                    answered = event.stream_id
                elif isinstance(event, StreamEnded):
                    server.close_connection(last_stream_id=answered)
                    writer.write(server.data_to_send())
                    return
            writer.write(server.data_to_send())

    async with listening(going_away) as endpoint:
        mesh.apply(ServiceApplied(Service("away", (endpoint,), Protocol.HTTP2)))
        statuses = [(await caller.post("http://away/", content=b"a")).status_code for _ in range(4)]
    assert (statuses, connections) == ([200] * 4, 4)


async def test_an_idle_connection_is_closed_before_its_server_does(mesh: MeshUnderTest, caller: Client) -> None:
    """Two seconds are the shortest that common servers wait: so POST fails nowhere either."""
    closed = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        async with asyncio.timeout(2):
            closed.set_result(await reader.read())

    async with listening(serve) as endpoint:
        mesh.apply(ServiceApplied(Service("idle", (endpoint,))))
        assert (await caller.post("http://idle/")).status_code == 200
        assert await closed == b""


async def test_a_services_own_retries_mean_what_they_say(mesh: MeshUnderTest, caller: Client) -> None:
    """They stand in the place of the usual ones: as many, and after what, for all methods."""
    tried = 0

    async def fail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tried
        while await read_request(reader):
            tried += 1
            writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")

    async with listening(fail) as endpoint:
        mesh.apply(ServiceApplied(Service("own", (endpoint,), retries=RetryPolicy(2, ("5xx",)))))
        assert (await caller.post("http://own/")).status_code == 500
        assert tried == 3
        mesh.apply(ServiceApplied(Service("usual", (endpoint,))))
        assert (await caller.get("http://usual/")).status_code == 500
        assert tried == 4


async def test_an_abort_is_not_repeated(mesh: MeshUnderTest, caller: Client) -> None:
    """It is an answer."""
    mesh.apply(ServiceApplied(Service("users", retries=RetryPolicy(5, ("5xx",)))))
    headers = {"baggage": "override.abort.users=503"}
    assert (await caller.get("http://users/", headers=headers)).status_code == 503
    assert await caller.stat("cluster.users.upstream_rq_retry") == 0
