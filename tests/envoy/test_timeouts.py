"""A service's timeout is the longest from the end of a request to the beginning of its response, for each attempt.

Whatever has begun by then lasts as long as it likes: downloads, uploads, streams, WebSockets.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import grpc
import pytest
import pytest_asyncio
import websockets

from detour.mesh import Endpoint, Protocol, Service, ServiceApplied
from parts import Client, MeshUnderTest, grpc_instance, http_instance
from wire import listening, read_request

TIMEOUT = timedelta(milliseconds=300)
LONGER = 2 * TIMEOUT.total_seconds()


async def _slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        request = await read_request(reader)
        if b" /silent" in request:
            await reader.read()
            return
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nof\r\n")
        await writer.drain()
        await asyncio.sleep(LONGER)
        writer.write(b"1\r\nf\r\n0\r\n\r\n")


@pytest_asyncio.fixture
async def slow(mesh: MeshUnderTest) -> AsyncIterator[Endpoint]:
    """Add a service with a timeout, which begins its responses at once and takes longer for the rest."""
    async with listening(_slow) as endpoint:
        mesh.apply(ServiceApplied(Service("slow", (endpoint,), timeout=TIMEOUT)))
        yield endpoint


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_response_that_does_not_begin_is_504(slow: Endpoint, caller: Client, method: str) -> None:
    """In words; and no header of Envoy's is left over from that."""
    answer = await caller.request(method, "http://slow/silent")
    assert (answer.status_code, "slow did not answer within its timeout" in answer.text) == (504, True)


async def test_a_download_is_not_cut(slow: Endpoint, caller: Client) -> None:
    """Nor are events, which are one that never ends."""
    answer = await caller.get("http://slow/")
    assert (answer.status_code, answer.text) == (200, "off")


async def test_an_upload_may_take_longer(slow: Endpoint, caller: Client) -> None:
    """The time begins once the request is complete."""

    async def body() -> AsyncIterator[bytes]:
        for part in (b"a", b"b"):
            yield part
            await asyncio.sleep(LONGER)

    assert (await caller.post("http://slow/", content=body())).text == "off"


async def test_a_delay_does_not_count(slow: Endpoint, caller: Client) -> None:
    """It is over before the attempt begins."""
    headers = {"baggage": f"override.delay.slow={LONGER}s"}
    assert (await caller.get("http://slow/", headers=headers)).status_code == 200


async def test_it_holds_behind_an_edge_and_for_deployments(
    slow: Endpoint, mesh: MeshUnderTest, caller: Client
) -> None:
    """Also if the service has got it while everything runs, and until it loses it."""
    mesh.register("slow", "pr-7", slow)
    headers = {"baggage": "override.route.slow=pr-7"}
    assert (await caller.get("http://slow/silent", headers=headers)).status_code == 504
    edge = await mesh.edge(trust_overrides=False)
    assert (await edge.get("/")).status_code == 200
    mesh.apply(ServiceApplied(Service("users", (slow,), timeout=TIMEOUT)), ServiceApplied(Service("slow", (slow,))))
    await edge.until("/silent", lambda answer: answer.status_code == 504)


async def test_a_websocket_lasts(mesh: MeshUnderTest, caller: Client) -> None:
    """However long it says nothing."""
    async with http_instance("chat") as endpoint:
        mesh.apply(ServiceApplied(Service("chat", (endpoint,), timeout=TIMEOUT)))
        async with websockets.connect("ws://chat/ws", host="127.0.0.1", port=caller.port, proxy=None) as socket:
            assert await socket.recv() == "chat"
            await asyncio.sleep(LONGER)
            await socket.send("still there")
            assert await socket.recv() == "still there"


async def test_grpc_streams_last(mesh: MeshUnderTest, caller: Client) -> None:
    """A client's stream has no end that the time could begin at."""
    async with grpc_instance("stream") as endpoint:
        mesh.apply(ServiceApplied(Service("stream", (endpoint,), Protocol.HTTP2, timeout=TIMEOUT)))
        async with _channel(caller, "stream") as channel:
            call = channel.stream_stream("/test.Echo/StreamStream")()
            for part in (b"a", b"b"):
                await asyncio.sleep(LONGER)
                await call.write(part)
                assert await call.read() == b"stream:" + part
            await call.done_writing()
            assert await call.code() == grpc.StatusCode.OK


async def test_a_grpc_call_that_is_not_answered_ends(mesh: MeshUnderTest, caller: Client) -> None:
    """With the words that an HTTP client gets."""
    async with listening(lambda reader, _: reader.read()) as endpoint:
        mesh.apply(ServiceApplied(Service("silent", (endpoint,), Protocol.HTTP2, timeout=TIMEOUT)))
        async with _channel(caller, "silent") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await channel.unary_unary("/test.Echo/Unary")(b"")
    assert "silent did not answer within its timeout" in raised.value.details()


@asynccontextmanager
async def _channel(caller: Client, service: str) -> AsyncIterator[grpc.aio.Channel]:
    options = [("grpc.default_authority", service), ("grpc.enable_http_proxy", 0)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{caller.port}", options=options) as channel:
        yield channel
