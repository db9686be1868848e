"""Mutual TLS on a real gRPC server, and certificates that change while it serves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import grpc
import pytest

from certificates.conftest import TERMS, server_material, sidecar_pair
from detour.certificates.authority import Pair, new_authority
from detour.certificates.identity import namespace_of
from detour.certificates.material import ServerTls

METHOD = "/tests.Echo/Stream"
DEADLINE = 10


class Echo(grpc.GenericRpcHandler):
    """Answers every message of a stream with the namespace of who sent it."""

    def service(self, details):
        return grpc.stream_stream_rpc_method_handler(self.stream)

    async def stream(self, requests, context):
        async for request in requests:
            yield request + b" " + str(namespace_of(context.auth_context())).encode()


@asynccontextmanager
async def served(serving: ServerTls) -> AsyncIterator[int]:
    """Run a server; give its port."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers([Echo()])
    port = server.add_secure_port("127.0.0.1:0", serving.grpc_credentials())
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


@asynccontextmanager
async def connected(port: int, bundle: bytes, pair: Pair | None) -> AsyncIterator[grpc.aio.Channel]:
    """Connect as a sidecar does."""
    credentials = grpc.ssl_channel_credentials(
        bundle, pair.key if pair else None, pair.certificate if pair else None
    )
    options = [("grpc.ssl_target_name_override", "detour.detour.svc"), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        yield channel


class Stream:
    """A stream that stays open."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.call = channel.stream_stream(METHOD)()

    async def say(self, message: bytes) -> bytes:
        async with asyncio.timeout(DEADLINE):
            await self.call.write(message)
            return await self.call.read()


async def answer(port: int, bundle: bytes, pair: Pair | None) -> bytes:
    """Connect anew and ask once."""
    async with connected(port, bundle, pair) as channel:
        return await Stream(channel).say(b"hello")


async def test_a_sidecar_is_known_by_its_namespace(authority, now):
    """From the certificate that the handshake has verified."""
    async with served(ServerTls(server_material(authority, now))) as port:
        assert await answer(port, authority.certificate, sidecar_pair(authority, now)) == b"hello shop"


async def test_without_a_certificate_of_the_mesh_nobody_gets_in(authority, now):
    """None, another authority's, one that has ended, and one that is not valid yet."""
    other = new_authority(now, TERMS)
    old = new_authority(now - timedelta(days=30), TERMS)
    refused = {
        "none": None,
        "another authority's": sidecar_pair(other, now),
        "ended": sidecar_pair(old, now, age=TERMS.leaf),
        "not yet valid": sidecar_pair(old, now, age=-timedelta(days=1)),
    }
    material = server_material(old, now)
    async with served(ServerTls(material)) as port:
        for pair in refused.values():
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await answer(port, old.certificate, pair)
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert await answer(port, old.certificate, sidecar_pair(old, now)) == b"hello shop"


async def test_a_servers_certificate_is_no_clients(authority, now):
    """It may be used for servers alone."""
    material = server_material(authority, now)
    async with served(ServerTls(material)) as port:
        with pytest.raises(grpc.aio.AioRpcError):
            await answer(port, authority.certificate, Pair(material.certificate, material.key))


async def test_a_new_certificate_is_shown_and_open_streams_go_on(authority, now):
    """Also when the authority is another, whom old clients do not trust and whose clients were unknown."""
    serving, pair = ServerTls(server_material(authority, now)), sidecar_pair(authority, now)
    other = new_authority(now, TERMS)
    async with served(serving) as port, connected(port, authority.certificate, pair) as channel:
        stream = Stream(channel)
        assert await stream.say(b"before") == b"before shop"
        serving.use(server_material(other, now))
        assert await answer(port, other.certificate, sidecar_pair(other, now)) == b"hello shop"
        with pytest.raises(grpc.aio.AioRpcError):
            await answer(port, authority.certificate, pair)
        assert await stream.say(b"after") == b"after shop"
