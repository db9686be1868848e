"""The same conversations for every type of resource that is served (xDS protocol, "Incremental xDS").

The server is real, and spoken to over gRPC by a client that is no Envoy. A type that is served from now on is one
more row of `ROWS`.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import pytest

from detour.envoy.vocabulary import EDGE_ROUTES, OUTBOUND_ROUTES, TOKEN_FILTER
from detour.mesh import (
    Carrier,
    Endpoint,
    KeysApplied,
    MeshEvent,
    PublicKey,
    Service,
    ServiceApplied,
    Settings,
    SettingsApplied,
)
from detour.xds.catalog import CLUSTER, ENDPOINTS, FILTERS, ROUTES, TYPES
from parts import MeshUnderTest, running_mesh
from raw_client import RawClient, channel_to, told

USERS = Service("users", (Endpoint("127.0.0.1", 9001),))
PAYMENTS = Service("payments", (Endpoint("127.0.0.1", 9002),))
SETTINGS = Settings(edge_hosts={"users.test": "users"})


@dataclass(frozen=True)
class Row:
    """One type.

    Args:
        name: A resource that there is.
        other: Another name, whatever there is by it.
        missing: A name by which there is nothing; empty where every name is something.
        changes: What gives the resource another version, and then another one.
    """

    type_url: str
    name: str
    other: str
    missing: str
    changes: tuple[MeshEvent, MeshEvent]


def _speaking(protocol: str) -> MeshEvent:
    return ServiceApplied(replace(USERS, protocol=protocol))


def _listening(*ports: int) -> MeshEvent:
    return ServiceApplied(replace(USERS, endpoints=tuple(Endpoint("127.0.0.1", port) for port in ports)))


def _carried(*carriers: Carrier) -> MeshEvent:
    return SettingsApplied(replace(SETTINGS, carriers=carriers))


ROWS = [
    Row(CLUSTER, "users", "payments", "", (_speaking("http2"), _speaking("tcp"))),
    Row(ENDPOINTS, "users", "payments", "", (_listening(9001, 9009), _listening(9009))),
    Row(
        FILTERS, TOKEN_FILTER, "no-such-filter", "no-such-filter",
        (KeysApplied((PublicKey("a", "c2NqZQ"),)), KeysApplied((PublicKey("b", "dHdvdA"),))),
    ),
    Row(
        ROUTES, OUTBOUND_ROUTES, EDGE_ROUTES, "no-such-table",
        (_carried(Carrier.BAGGAGE, Carrier.OPENTRACING), _carried(Carrier.BAGGAGE)),
    ),
]  # fmt: skip

each_type = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.type_url.rpartition(".")[2])
BOTH = pytest.mark.parametrize("role", ["sidecar", "edge"])


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[MeshUnderTest]:
    """Serve a mesh of two services, one of which an edge serves."""
    async with running_mesh(tmp_path, [USERS, PAYMENTS], settings=SETTINGS) as running:
        yield running


@pytest.fixture
async def channel(mesh: MeshUnderTest) -> AsyncIterator[grpc.aio.Channel]:
    """Connect to it."""
    async with channel_to(mesh.port) as connected:
        yield connected


def test_every_type_that_is_served_has_a_row() -> None:
    """So that none is left out."""
    assert sorted(row.type_url for row in ROWS) == sorted(TYPES)


@each_type
async def test_subscribe(channel: grpc.aio.Channel, row: Row) -> None:
    """A name is answered each time that it is asked for, also if the client has it already."""
    client = RawClient(channel)
    versions, removed = await client.ask(row.type_url, row.name)
    assert (list(versions), removed) == ([row.name], [])
    assert await client.ask(row.type_url, row.name) == (versions, [])
    held = await client.ask(row.type_url, row.name, nonce="stale", held={"users": "whatever"})
    assert held == (versions, [])


@each_type
async def test_update(channel: grpc.aio.Channel, mesh: MeshUnderTest, row: Row) -> None:
    """A change is sent once, to those who asked, and nothing that did not change."""
    client, other = RawClient(channel), RawClient(channel)
    before, _ = await client.ask(row.type_url, row.name)
    await other.ask(row.type_url, "payments" if row.type_url in {CLUSTER, ENDPOINTS} else "not this")
    mesh.apply(row.changes[0])
    after, removed = told(row.type_url, await client.rest())
    assert (list(after), removed) == ([row.name], [])
    assert after != before
    assert await client.rest() == await other.rest() == []
    mesh.apply(row.changes[0])
    assert await client.rest() == []


@each_type
async def test_unsubscribe(channel: grpc.aio.Channel, mesh: MeshUnderTest, row: Row) -> None:
    """It is not answered, nor are names that were never subscribed to, and ends updates."""
    client = RawClient(channel)
    await client.ask(row.type_url, row.name)
    await client.send(row.type_url, drop=[row.name, "never-asked"])
    assert await client.rest() == []
    mesh.apply(row.changes[0])
    assert await client.rest() == []


@each_type
async def test_resubscribe(channel: grpc.aio.Channel, mesh: MeshUnderTest, row: Row) -> None:
    """A client that comes back to a name is answered, and kept up to date again."""
    client = RawClient(channel)
    before, _ = await client.ask(row.type_url, row.name)
    await client.send(row.type_url, drop=[row.name])
    assert await client.ask(row.type_url, row.name) == (before, [])
    mesh.apply(row.changes[0])
    after, _ = told(row.type_url, await client.rest())
    assert list(after) == [row.name]
    # In one request subscriptions count first.
    await client.send(row.type_url, row.name, drop=[row.name])
    assert await client.rest() == []
    mesh.apply(row.changes[1])
    assert await client.rest() == []


@each_type
async def test_a_stale_nonce_does_not_stop_a_subscription(channel: grpc.aio.Channel, row: Row) -> None:
    """A nonce says what is acknowledged, and nothing about the names beside it."""
    client = RawClient(channel, acknowledges=False)
    assert list((await client.ask(row.type_url, row.name, nonce="17"))[0]) == [row.name]
    (response,) = await _said(client, row.type_url, row.name)
    assert list((await client.ask(row.type_url, row.name, nonce=response.nonce))[0]) == [row.name]
    assert await client.ask(row.type_url, drop=[row.name], nonce=response.nonce) == ({}, [])


@each_type
async def test_removal(channel: grpc.aio.Channel, row: Row) -> None:
    """A name by which there is nothing is answered as removed; clusters and endpoints there are by any name."""
    client = RawClient(channel)
    versions, removed = await client.ask(row.type_url, row.name, row.missing or "made-up@pr-42")
    expected = [row.name] if row.missing else [row.name, "made-up@pr-42"]
    assert (sorted(versions), removed) == (sorted(expected), [row.missing] if row.missing else [])


@each_type
async def test_nack(channel: grpc.aio.Channel, mesh: MeshUnderTest, row: Row) -> None:
    """A rejected version is not sent again, and is reported, until another one is acknowledged."""
    client = RawClient(channel, acknowledges=False)
    (response,) = await _said(client, row.type_url, row.name)
    await client.send(row.type_url, nonce=response.nonce, refuses="no")
    assert await client.rest() == []
    (connection,) = mesh.ads.connections
    (rejection,) = connection.session.rejections
    assert (rejection.type_url, rejection.names, rejection.message) == (row.type_url, (row.name,), "no")
    mesh.apply(row.changes[0])
    (later,) = await client.rest()
    await client.send(row.type_url, nonce=later.nonce)
    await client.rest()
    assert connection.session.rejections == ()
    held = {resource.name: resource.version for resource in later.resources}
    assert connection.session.acknowledged[row.type_url] == held


@each_type
async def test_reconnect(channel: grpc.aio.Channel, mesh: MeshUnderTest, row: Row) -> None:
    """A client is sent what it lacks, and kept up to date of what it asks for, whatever it says that it has."""
    current, _ = await RawClient(channel).ask(row.type_url, row.name)
    again = RawClient(channel)
    assert await again.ask(row.type_url, row.name, held={**current, row.other: "old"}) == ({}, [])
    mesh.apply(row.changes[0])
    after, removed = told(row.type_url, await again.rest())
    assert (list(after), removed) == ([row.name], [])
    late = RawClient(channel)
    assert await late.ask(row.type_url, row.name, held=current) == (after, [])
    uninterested = RawClient(channel)
    await uninterested.ask(row.type_url, row.other, held=current)
    mesh.apply(row.changes[1])
    assert row.name not in told(row.type_url, await uninterested.rest())[0]


@each_type
@BOTH
async def test_wildcard(channel: grpc.aio.Channel, mesh: MeshUnderTest, row: Row, role: str) -> None:
    """By a star or by no name at all; names next to it come and go, and a client can leave it again."""
    everything = ["users"] if (row.type_url, role) == (CLUSTER, "edge") else []
    for opening in ((), ("*",)):
        client = RawClient(channel, role)
        assert _names(await client.ask(row.type_url, *opening)) == (everything, [])
        named = "payments" if row.type_url in {CLUSTER, ENDPOINTS} else row.name
        assert _names(await client.ask(row.type_url, named)) == ([named], [])
        # It cannot know whether "*" stands for it as well.
        assert _names(await client.ask(row.type_url, drop=[named])) == ([], [named])
        assert _names(await client.ask(row.type_url, drop=[named])) == ([], [])
        if everything:
            await client.ask(row.type_url, "users")
            assert _names(await client.ask(row.type_url, drop=["users"])) == (["users"], [])
        assert _names(await client.ask(row.type_url, "*")) == (everything, [])
        mesh.apply(row.changes[0])
        assert _names(told(row.type_url, await client.rest())) == (everything, [])
        assert await client.ask(row.type_url, drop=["*"]) == ({}, [])
        mesh.apply(row.changes[1])
        assert await client.rest() == []
        # Somebody who has left does not come back by saying nothing.
        assert await client.ask(row.type_url) == ({}, [])


@each_type
@BOTH
async def test_what_left_the_wildcard_meanwhile_is_removed(channel: grpc.aio.Channel, row: Row, role: str) -> None:
    """A client that comes back with it, and does not name it, hears that it is gone."""
    held = {"payments": "1", "users": "old"}
    everything = ["users"] if (row.type_url, role) == (CLUSTER, "edge") else []
    for opening in ((), ("*",)):
        answer = await RawClient(channel, role).ask(row.type_url, *opening, held=held)
        assert _names(answer) == (everything, sorted(held.keys() - set(everything)))
    named = await RawClient(channel, role).ask(row.type_url, "*", "payments", held={"payments": "1"})
    assert "payments" not in named[1] or row.type_url in {ROUTES, FILTERS}


async def test_a_service_that_an_edge_no_longer_serves(channel: grpc.aio.Channel, mesh: MeshUnderTest) -> None:
    """Its cluster is removed, once no route leads to it any more."""
    client = RawClient(channel, "edge", acknowledges=False)
    for type_url, name in ((CLUSTER, "*"), (ENDPOINTS, "users"), (ROUTES, EDGE_ROUTES)):
        for response in await _said(client, type_url, name):
            await client.send(type_url, nonce=response.nonce)
    mesh.apply(SettingsApplied(Settings(edge_hosts={})))
    (routes,) = await client.rest()
    assert routes.type_url == ROUTES
    await client.send(ROUTES, nonce=routes.nonce)
    (gone,) = await client.rest()
    assert (gone.type_url, list(gone.removed_resources)) == (CLUSTER, ["users"])


async def test_an_edge_that_has_no_routes_yet(channel: grpc.aio.Channel, mesh: MeshUnderTest) -> None:
    """What it serves from now on it is sent before it asks for routes that lead there."""
    client = RawClient(channel, "edge")
    assert _names(await client.ask(CLUSTER)) == (["users"], [])
    mesh.apply(SettingsApplied(Settings(edge_hosts={"users.test": "users", "payments.test": "payments"})))
    assert _names(told(CLUSTER, await client.rest())) == (["payments"], [])


async def test_a_cluster_that_is_updated_on_reconnect_is_followed_by_its_endpoints(
    channel: grpc.aio.Channel, mesh: MeshUnderTest
) -> None:
    """Envoy waits for them, in whichever order it comes back with the two, also if it has the right ones."""
    current, _ = await RawClient(channel).ask(ENDPOINTS, "users")
    for order in ((CLUSTER, ENDPOINTS), (ENDPOINTS, CLUSTER)):
        client, responses = RawClient(channel), []
        for type_url in order:
            await client.send(type_url, "users", held={"users": "old"} if type_url == CLUSTER else current)
            responses += await client.rest()
        assert told(ENDPOINTS, responses) == (current, [])
    assert mesh.ads.mesh.services


async def _said(client: RawClient, type_url: str, *names: str) -> list:
    await client.send(type_url, *names)
    return await client.rest()


def _names(answer: tuple[dict[str, str], list[str]]) -> tuple[list[str], list[str]]:
    return sorted(answer[0]), sorted(answer[1])
