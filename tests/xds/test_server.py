"""The ADS server under clients that are not as they should be: no other notices, and no stack trace is logged."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from envoy.service.accesslog.v3 import als_pb2_grpc
from envoy.service.cluster.v3 import cds_pb2_grpc
from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DiscoveryRequest
from envoy.service.listener.v3 import lds_pb2_grpc
from envoy.service.load_stats.v3 import lrs_pb2_grpc
from envoy.service.runtime.v3 import rtds_pb2_grpc
from envoy.service.secret.v3 import sds_pb2_grpc

from detour.mesh import Endpoint, Service, ServiceApplied
from detour.traffic.reports import Reports
from detour.xds import server
from detour.xds.catalog import CLUSTER, ENDPOINTS
from detour.xds.in_flight import NAMES_MAX, RESPONSES_MAX
from detour.xds.methods import DELTA_ADS_ONLY
from parts import MeshUnderTest, running_mesh
from raw_client import METHOD, RawClient, channel_to

GARBAGE = b"\xff\xff\xff\xff this is no message"
LOADS = "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats"
LOGS = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"


@pytest.fixture
async def mesh(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[MeshUnderTest]:
    """Serve a mesh of one service, to clients whose faults leave no trace in the log."""
    caplog.set_level(logging.INFO)
    loop = asyncio.get_running_loop()
    complaints: list[dict] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    users = Service("users", (Endpoint("127.0.0.1", 9001),))
    async with running_mesh(tmp_path, [users], companion=Reports()) as running:
        yield running
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []
    assert [one.getMessage() for one in caplog.records if one.exc_info or one.levelno >= logging.ERROR] == []


@pytest.fixture
async def channel(mesh: MeshUnderTest) -> AsyncIterator[grpc.aio.Channel]:
    """Connect to it."""
    async with channel_to(mesh.port) as connected:
        yield connected


@pytest.mark.parametrize("kind", [METHOD, LOADS, LOGS])
async def test_garbage(channel: grpc.aio.Channel, kind: str) -> None:
    """Bytes that are no message end the stream, with a status that says so."""
    call = channel.stream_stream(kind)()
    await call.write(GARBAGE)
    assert await call.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert (await call.details()).startswith("this is not a valid envoy.service.")


async def test_garbage_in_a_conversation(channel: grpc.aio.Channel) -> None:
    """The client is forgotten, and others are not concerned."""
    client, other = RawClient(channel), RawClient(channel)
    await client.ask(CLUSTER, "users")
    await client.send_bytes(GARBAGE)
    code, words = await client.status()
    assert (code, words.startswith("this is no")) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    assert list((await other.ask(CLUSTER, "users"))[0]) == ["users"]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (DeltaDiscoveryRequest(), "type_url"),
        (DeltaDiscoveryRequest(type_url="x" * 600), "type_url has more than 512 characters"),
        (DeltaDiscoveryRequest(type_url=CLUSTER, node={"id": "x" * 600}), "node.id has more than 512 characters"),
    ],
)
async def test_requests_that_cannot_be_answered(
    channel: grpc.aio.Channel, request_: DeltaDiscoveryRequest, words: str
) -> None:
    """They are refused, and the words say which field it is."""
    client = RawClient(channel)
    await client.send_bytes(request_.SerializeToString())
    code, said = await client.status()
    assert (code, words in said) == (grpc.StatusCode.INVALID_ARGUMENT, True)


async def test_a_node_without_an_id_and_one_that_changes(channel: grpc.aio.Channel, mesh: MeshUnderTest) -> None:
    """The first request says who it is, if anybody does; later ones are not asked (xDS protocol)."""
    client = RawClient(channel)
    nameless = DeltaDiscoveryRequest(type_url=CLUSTER, resource_names_subscribe=["users"])
    await client.send_bytes(nameless.SerializeToString())
    assert [one.name for one in (await client.read()).resources] == ["users"]
    nameless.node.id, nameless.type_url = "another", ENDPOINTS
    await client.send_bytes(nameless.SerializeToString())
    assert (await client.read()).type_url == ENDPOINTS
    assert [one.node for one in mesh.ads.connections] == [""]


async def test_state_of_the_world_and_services_for_one_type(channel: grpc.aio.Channel) -> None:
    """The status says what to do instead, whatever the method."""
    ads = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel)
    calls = [
        ads.StreamAggregatedResources(iter([DiscoveryRequest(type_url=CLUSTER)])),
        cds_pb2_grpc.ClusterDiscoveryServiceStub(channel).StreamClusters(iter([DiscoveryRequest()])),
        cds_pb2_grpc.ClusterDiscoveryServiceStub(channel).FetchClusters(DiscoveryRequest()),
        lds_pb2_grpc.ListenerDiscoveryServiceStub(channel).DeltaListeners(iter([DeltaDiscoveryRequest()])),
        sds_pb2_grpc.SecretDiscoveryServiceStub(channel).StreamSecrets(iter([DiscoveryRequest()])),
        rtds_pb2_grpc.RuntimeDiscoveryServiceStub(channel).StreamRuntime(iter([DiscoveryRequest()])),
        channel.stream_stream("/envoy.service.discovery.v2.AggregatedDiscoveryService/DeltaAggregatedResources")(
            iter([b""])
        ),
    ]
    for call in calls:
        assert (await call.code(), await call.details()) == (grpc.StatusCode.UNIMPLEMENTED, DELTA_ADS_ONLY)


async def test_clients_that_are_gone(mesh: MeshUnderTest) -> None:
    """Before they said a word, before the answer, in a conversation, and with the connection; also reporters."""
    for _ in range(5):
        async with channel_to(mesh.port) as channel:
            silent, hasty, talker, last = (RawClient(channel) for _ in range(4))
            await hasty.send(CLUSTER, *(f"users@{number}" for number in range(500)))
            hasty.abort()
            silent.abort()
            await talker.ask(CLUSTER, "users")
            await talker.send(CLUSTER, *(f"users@{number}" for number in range(500)))
            await talker.read()
            talker.abort()
            await last.ask(CLUSTER, "users")
            loads = lrs_pb2_grpc.LoadReportingServiceStub(channel).StreamLoadStats()
            logs = als_pb2_grpc.AccessLogServiceStub(channel).StreamAccessLogs()
            loads.cancel()
            logs.cancel()
    async with asyncio.timeout(10):
        while mesh.ads.connections:
            await asyncio.sleep(0.01)


async def test_the_last_request_of_a_client_is_answered(channel: grpc.aio.Channel) -> None:
    """Though it says at once that nothing more is to come."""
    client = RawClient(channel)
    await client.send(CLUSTER, "users")
    await client.send(ENDPOINTS, "users")
    await client.finish()
    assert [(await client.read()).type_url for _ in range(2)] == [CLUSTER, ENDPOINTS]
    assert (await client.status())[0] == grpc.StatusCode.OK


async def test_many_names(mesh: MeshUnderTest, channel: grpc.aio.Channel) -> None:
    """They come in parts of bounded size, and others are answered between them."""
    async with channel_to(mesh.port) as elsewhere:
        many, other = RawClient(channel), RawClient(elsewhere)
        await other.ask(CLUSTER, "users")
        names = {f"users@made-up-{number}" for number in range(20_000)}
        await many.send(CLUSTER, *names)
        sent, turns = set(), []
        while sent != names:
            response = await many.read()
            sent |= {one.name for one in response.resources}
            if len(sent) < len(names) and len(turns) < 3:
                turns.append(await other.ask(CLUSTER, f"users@other-{len(turns)}"))
    assert max(many.sizes) < 1_100_000
    assert len(turns) == 3


async def test_names_too_long_to_mean_anything(mesh: MeshUnderTest, channel: grpc.aio.Channel) -> None:
    """They are answered, and the server keeps nothing of them."""
    client = RawClient(channel)
    for first in range(0, 400, 20):
        names = [f"{number}-".ljust(55_000, "x") for number in range(first, first + 20)]
        versions, _ = await client.ask(CLUSTER, *names)
        assert set(versions) >= set(names)
    # The resource, its name and the cluster's: what the caller is told has no more of it.
    assert sum(client.sizes) < 400 * 55_000 * 4
    assert max(client.sizes) < 1_100_000
    (connection,) = mesh.ads.connections
    assert connection.session.cluster_count == 0
    assert connection.session._holdings._unbacked_bytes <= 1_000_000
    assert mesh.ads._cache.used_bytes < 1_000_000


async def test_a_client_that_never_acknowledges(mesh: MeshUnderTest, channel: grpc.aio.Channel) -> None:
    """It is served, and the responses it is owed do not accumulate."""
    client = RawClient(channel, acknowledges=False)
    await client.ask(CLUSTER, "users")
    for number in range(RESPONSES_MAX + 50):
        protocol = "http1" if number % 2 else "http2"
        mesh.apply(ServiceApplied(Service("users", (Endpoint("127.0.0.1", 9001),), protocol)))
        assert len((await client.read()).resources) == 1
    (connection,) = mesh.ads.connections
    assert connection.session.pending == RESPONSES_MAX
    assert connection.session._in_flight._names <= NAMES_MAX


async def test_a_client_that_does_not_read(mesh: MeshUnderTest, channel: grpc.aio.Channel) -> None:
    """Changes that it has no room for are one change by the time that it reads."""
    client = RawClient(channel)
    names = [f"users@{number}" for number in range(500)]
    await client.send(CLUSTER, *names)
    for number in range(200):
        protocol = "http1" if number % 2 else "http2"
        mesh.apply(ServiceApplied(Service("users", (Endpoint("127.0.0.1", 9001),), protocol)))
        await asyncio.sleep(0)
    responses = await client.rest()
    assert sum(len(one.resources) for one in responses) < 10 * len(names)


async def test_a_stream_that_has_ended_costs_others_nothing(mesh: MeshUnderTest) -> None:
    """What streams share is given back, however the stream ended."""
    async with channel_to(mesh.port) as channel:
        await RawClient(channel).ask(CLUSTER, *(f"users@{number}" for number in range(400)))
        assert mesh.ads._names.used_bytes > 0
    async with asyncio.timeout(20):
        while mesh.ads._names.used_bytes:
            await asyncio.sleep(0.01)


async def test_a_stream_that_says_nothing_ends(
    mesh: MeshUnderTest, channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Envoy speaks at once; whoever does not holds nothing of the server's for long."""
    monkeypatch.setattr(server, "_SILENT_SECONDS", 0.1)
    call = channel.stream_stream(METHOD)()
    async with asyncio.timeout(20):
        assert await call.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert not mesh.ads.connections


async def test_streams_past_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are there go on."""
    monkeypatch.setattr(server, "_STREAMS_MAX", 2)
    async with running_mesh(tmp_path, [Service("users")]) as mesh, channel_to(mesh.port) as channel:
        first, second = RawClient(channel), RawClient(channel)
        for one in (first, second):
            await one.ask(CLUSTER, "users")
        refused = channel.stream_stream(METHOD)()
        async with asyncio.timeout(20):
            assert await refused.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await first.ask(CLUSTER, "users@pr-1")
