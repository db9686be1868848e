"""Sidecars without a control plane: what carries no overrides goes where it would go without Detour."""

import asyncio
import base64
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import grpc
import httpx
import pytest
import websockets
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse

from detour.envoy import Edge, Sidecar, edge_bootstrap, fail_open, sidecar_bootstrap, start_envoy
from detour.envoy.vocabulary import NO_ANSWER_CLUSTER
from detour.mesh import Endpoint, Mesh, OffloadedDeployment, Service
from detour.overrides import parse_words, write_opentracing
from detour.traffic.reports import Reports
from detour.xds.catalog import ENDPOINTS
from detour.xds.server import AdsServer
from parts import Client, grpc_instance, http_instance, through_a_tunnel
from ports import free_port
from raw_client import METHOD

OVERRIDE = {"baggage": "override.route.localhost=pr-42"}
FOR_OTHERS = {"baggage": "override.route.other=pr-42"}
CLOSED = "Detour: this sidecar has not reached the control plane yet"


@contextmanager
def silent_port() -> Iterator[int]:
    """Accept connections, as the kernel does for a process that hangs, and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@asynccontextmanager
async def sidecar(
    port: int, folder: Path, host: str = "127.0.0.1", nameserver: int = 0, **changes: object
) -> AsyncIterator[Client]:
    """Start a sidecar whose control plane is said to be at a port; wait until it serves."""
    names = ("app_port", "outbound_port", "inbound_port", "admin_port")
    settings = Sidecar("caller", "caller-1", control_plane=f"{host}:{port}", **{one: free_port() for one in names})
    settings = replace(settings, **changes)
    bootstrap = sidecar_bootstrap(settings)
    if nameserver:
        bootstrap["typed_dns_resolver_config"] = dns_at(nameserver)
    process = start_envoy(bootstrap, folder / "envoy.log")
    try:
        await process.ready(20)
        async with Client(settings.outbound_port, process, settings) as client:
            yield client
    finally:
        await process.stop()


def dns_at(port: int) -> dict[str, object]:
    """Return the resolver that asks a nameserver at a loopback port."""
    at = {"address": "127.0.0.1", "port_value": port, "protocol": "UDP"}
    package = "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3"
    config = {"@type": f"{package}.CaresDnsResolverConfig", "resolvers": [{"socket_address": at}]}
    return {"name": "envoy.network.dns_resolver.cares", "typed_config": config}


@pytest.fixture
async def users() -> AsyncIterator[Endpoint]:
    """Run an instance that DNS knows by the name `localhost`."""
    async with http_instance("users-1") as endpoint:
        yield endpoint


@pytest.fixture(params=["refused", "silent", "unknown name"])
async def caller(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Client]:
    """Return a client of a sidecar whose control plane has never been there."""
    with silent_port() as silent:
        port = silent if request.param == "silent" else free_port()
        host = "nowhere.invalid" if request.param == "unknown name" else "127.0.0.1"
        async with sidecar(port, tmp_path, host) as client:
            yield client


async def test_a_sidecar_that_has_never_had_a_control_plane_is_open(caller: Client, users: Endpoint) -> None:
    """To whatever DNS knows, from the first second, for HTTP, WebSockets, gRPC and CONNECT."""
    there = f"localhost:{users.port}"
    for baggage in ("", "a=1", "a=%20b", "a=override.route.users", "x-override.route.users=1"):
        answer = await caller.get(f"http://{there}/", headers={"baggage": baggage})
        assert (answer.status_code, answer.json()["instance"]) == (200, "users-1")
    await opens_websockets(caller, there)
    await opens_tunnels(caller, there)
    async with grpc_instance("greeter-1") as greeter:
        await opens_grpc(caller, f"localhost:{greeter.port}")
    answer = await caller.post(f"http://{there}/", content=bytes(3_000_000))
    assert answer.json()["length"] == 3_000_000


async def opens_websockets(caller: Client, there: str) -> None:
    """Speak through the sidecar with a WebSocket."""
    where = {"host": "127.0.0.1", "port": caller.port, "proxy": None}
    async with websockets.connect(f"ws://{there}/ws", **where) as socket_there:
        assert await socket_there.recv() == "users-1"
        await socket_there.send("hello")
        assert await socket_there.recv() == "hello"


async def opens_tunnels(caller: Client, there: str) -> None:
    """Speak through a CONNECT tunnel."""
    reader, writer = await asyncio.open_connection("127.0.0.1", caller.port)
    writer.write(f"CONNECT {there} HTTP/1.1\r\nHost: {there}\r\n\r\n".encode())
    assert b"200" in await reader.readuntil(b"\r\n\r\n")
    writer.write(f"GET / HTTP/1.1\r\nHost: {there}\r\nConnection: close\r\n\r\n".encode())
    assert b"users-1" in await reader.read()
    writer.close()


async def opens_grpc(caller: Client, there: str) -> None:
    """Call a method with the sidecar as the channel's address, and through CONNECT."""
    options = [("grpc.default_authority", there)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{caller.port}", options) as channel:
        assert await channel.unary_unary("/test.Echo/Unary")(b"x") == b"greeter-1:x"
    options = [("grpc.http_proxy", f"http://127.0.0.1:{caller.port}")]
    async with grpc.aio.insecure_channel(f"dns:///{there}", options) as channel:
        assert await channel.unary_unary("/test.Echo/Unary")(b"x") == b"greeter-1:x"


async def test_it_is_closed_to_overrides_and_says_why(caller: Client, users: Endpoint) -> None:
    """Whatever header they are in; a tracing header without any is no reason."""
    there = f"http://localhost:{users.port}/"
    overrides = parse_words(["localhost=pr-42"])
    encoded = {"baggage": "a=1,%6fverride%2Eroute.localhost=pr%2D42"}
    for headers in (OVERRIDE, encoded, {"x-ot-span-context": write_opentracing(None, overrides)}):
        answer = await caller.get(there, headers=headers)
        assert answer.status_code == 503
        assert answer.text.startswith(CLOSED)
    answer = await through_a_tunnel(caller, f"localhost:{users.port}", OVERRIDE["baggage"])
    assert answer.startswith(b"HTTP/1.1 503")
    assert CLOSED.encode() in answer
    assert b"users-1" in await through_a_tunnel(caller, f"localhost:{users.port}", "a=1")
    tracing = {"x-ot-span-context": base64.b64encode(b"\x12\x02\x08\x01").decode()}
    assert (await caller.get(there, headers=tracing)).json()["instance"] == "users-1"


async def test_tunnels_pass_what_is_no_http(caller: Client) -> None:
    """Byte for byte, also where the server speaks first."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        writer.write((await reader.readline()).upper())
        writer.close()

    async with await asyncio.start_server(serve, "localhost", 0) as server:
        there = f"localhost:{server.sockets[0].getsockname()[1]}"
        for first in (b"", b"\x16\x03\x01hello\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", caller.port)
            writer.write(f"CONNECT {there} HTTP/1.1\r\nHost: {there}\r\n\r\n".encode())
            assert b"200" in await reader.readuntil(b"\r\n\r\n")
            writer.write(first)
            assert await reader.readline() == b"220 ready\r\n"
            if not first:
                writer.write(b"hello\n")
            assert (await reader.readline()).endswith(b"HELLO\n")
            writer.close()


async def test_it_still_refuses_its_own_names(caller: Client) -> None:
    """No host leads to a cluster of its own, and a request to the listener itself is explained."""
    async with httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{caller.port}") as direct:
        for name in ("@mesh", "@outside", "users@pr-42"):
            assert (await direct.get("/", headers={"host": name})).status_code == 400
        assert (await direct.get("/")).status_code == 421


@asynccontextmanager
async def control_plane(port: int, *services: Service) -> AsyncIterator[AdsServer]:
    """Run a control plane at a port, with a mesh."""
    ads = AdsServer(Mesh.of(services, []))
    await ads.start(f"127.0.0.1:{port}")
    try:
        yield ads
    finally:
        await ads.stop()


async def answers(caller: Client, address: str, **headers: str) -> tuple[int, str]:
    """Call; return the status, and the instance that answers, or the words."""
    answer = await caller.get(address, headers=headers)
    return answer.status_code, answer.json()["instance"] if answer.status_code == 200 else answer.text


async def test_when_the_control_plane_comes_all_is_as_usual_without_a_lost_request(
    tmp_path: Path, users: Endpoint
) -> None:
    """DNS knows `localhost` too, so that requests always have somewhere to go; then overrides count."""
    port, asked = free_port(), 0
    async with sidecar(port, tmp_path) as caller, http_instance("mesh-1") as mesh:
        address = f"http://localhost:{users.port}/"
        assert await answers(caller, address) == (200, "users-1")
        async with control_plane(port, Service("localhost", (mesh,))), asyncio.timeout(20):
            while (answer := await answers(caller, address))[1] != "mesh-1":
                assert answer == (200, "users-1")
                asked += 1
            while "no ready instance of" not in (answer := await answers(caller, address, **OVERRIDE))[1]:
                assert answer[0] == 503
                assert await answers(caller, address) == (200, "mesh-1")


async def test_a_first_call_waits_for_a_control_plane_where_dns_does_not_know_the_service(tmp_path: Path) -> None:
    """As in a mesh on a laptop, whose services have no other names."""
    port = free_port()
    async with sidecar(port, tmp_path) as caller, http_instance("users-1") as users:
        first = asyncio.create_task(caller.get("http://users.invalid/"))
        await asyncio.sleep(0.5)
        assert not first.done()
        async with control_plane(port, Service("users.invalid", (users,))):
            assert (await first).json()["instance"] == "users-1"


async def test_a_running_sidecar_goes_on_without_its_control_plane(tmp_path: Path, users: Endpoint) -> None:
    """It keeps what it has; what it has not goes where DNS says, and overrides of it are refused."""
    port = free_port()
    async with sidecar(port, tmp_path) as caller, grpc_instance("greeter-1") as greeter:
        async with control_plane(port, Service("users", (users,))):
            assert await answers(caller, "http://users/") == (200, "users-1")
        assert await answers(caller, "http://users/") == (200, "users-1")
        there = f"localhost:{users.port}"
        assert await answers(caller, f"http://{there}/") == (200, "users-1")
        await opens_websockets(caller, there)
        await opens_tunnels(caller, there)
        await opens_grpc(caller, f"localhost:{greeter.port}")
        status, words = await answers(caller, f"http://{there}/", **OVERRIDE)
        assert (status, "the control plane did not resolve" in words) == (503, True)
        answer = await through_a_tunnel(caller, there, OVERRIDE["baggage"])
        assert answer.startswith(b"HTTP/1.1 503")


async def test_first_calls_go_on_if_the_control_plane_answers_while_dns_does_not(
    tmp_path: Path, users: Endpoint
) -> None:
    """All of them: they began when the sidecar did not have the service, and go on when it has."""
    port, address = free_port(), "http://users.invalid/"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent_dns:
        silent_dns.bind(("127.0.0.1", 0))
        async with sidecar(port, tmp_path, nameserver=silent_dns.getsockname()[1]) as caller:
            first = [asyncio.create_task(answers(caller, address)) for _ in range(5)]
            await asyncio.to_thread(silent_dns.recv, 512)
            async with control_plane(port, Service("users.invalid", (users,))), asyncio.timeout(20):
                assert await asyncio.gather(*first) == [(200, "users-1")] * 5


@asynccontextmanager
async def relay(to: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """Relay connections to a port; yield its own port, and what stops it while it is not set."""
    flows, running = asyncio.Event(), set()
    flows.set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                await flows.wait()
                writer.write(data)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", to)
        running.update(asyncio.create_task(pass_on(*pair)) for pair in ((reader, back), (there, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        try:
            yield server.sockets[0].getsockname()[1], flows
        finally:
            for task in running:
                task.cancel()


@asynccontextmanager
async def hanging(folder: Path, users: Endpoint) -> AsyncIterator[tuple[Client, asyncio.Event]]:
    """Run a sidecar that knows `users`, and whose control plane has hung since; yield also what ends that."""
    port = free_port()
    async with (
        control_plane(port, Service("users", (users,))),
        relay(port) as (between, flows),
        sidecar(between, folder) as caller,
    ):
        assert await answers(caller, "http://users/") == (200, "users-1")
        flows.clear()
        yield caller, flows


async def test_a_control_plane_that_hangs_holds_nobody_up(tmp_path: Path, users: Endpoint) -> None:
    """The connection is there, and no answer comes; those that come later are as good as any."""
    async with hanging(tmp_path, users) as (caller, flows):
        for name in ("localhost", "127.0.0.1"):
            there = f"http://{name}:{users.port}/"
            # With an override of another service it waits; beside it one without does not.
            waiting = asyncio.create_task(answers(caller, there, **FOR_OTHERS))
            await asyncio.sleep(0.02)
            assert await answers(caller, there) == (200, "users-1")
            assert not waiting.done()
            flows.set()
            assert await waiting == (200, "users-1")
            flows.clear()
        flows.set()


async def test_requests_that_wait_do_not_fail_with_those_that_go_on(tmp_path: Path, users: Endpoint) -> None:
    """DNS does not know the host; requests for it arrive one after the other, and all get the late answer."""
    async with hanging(tmp_path, users) as (caller, flows):
        first = []
        for number in range(20):
            headers = FOR_OTHERS if number % 2 else {}
            first.append(asyncio.create_task(answers(caller, "http://users:8080/", **headers)))
            await asyncio.sleep(0.01)
        tunnel = asyncio.create_task(through_a_tunnel(caller, "users:8081", FOR_OTHERS["baggage"]))
        await asyncio.sleep(0.1)
        flows.set()
        assert await asyncio.gather(*first) == [(200, "users-1")] * 20
        assert b"users-1" in await tunnel


@asynccontextmanager
async def late_endpoints(to: int) -> AsyncIterator[tuple[int, asyncio.Event, asyncio.Event]]:
    """Relay a control plane's responses; yield the port, what is set once endpoints wait, and what sends them."""
    waiting, released = asyncio.Event(), asyncio.Event()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{to}") as channel:

        async def pass_on(requests: AsyncIterator[bytes], _: object) -> AsyncIterator[bytes]:
            async for response in channel.stream_stream(METHOD)(requests):
                if DeltaDiscoveryResponse.FromString(response).type_url == ENDPOINTS:
                    waiting.set()
                    await released.wait()
                yield response

        server = grpc.aio.server()
        service, method = METHOD.strip("/").split("/")
        handler = grpc.stream_stream_rpc_method_handler(pass_on)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield port, waiting, released
        finally:
            await server.stop(None)


async def test_a_request_waits_for_endpoints_that_come_after_their_cluster(tmp_path: Path, users: Endpoint) -> None:
    """A busy control plane may need more than a second in between. The cluster must not start empty."""
    port = free_port()
    async with (
        control_plane(port, Service("users", (users,))),
        late_endpoints(port) as (between, waiting, released),
        sidecar(between, tmp_path) as caller,
        asyncio.timeout(20),
    ):
        first = asyncio.create_task(answers(caller, "http://users/"))
        await waiting.wait()
        await asyncio.wait([first], timeout=1.5)
        released.set()
        assert await first == (200, "users-1")


async def test_a_service_that_leaves_the_mesh_goes_where_dns_says(tmp_path: Path, users: Endpoint) -> None:
    """Without a failed request."""
    port, address = free_port(), f"http://localhost:{users.port}/"
    async with (
        http_instance("mesh-1") as mesh,
        control_plane(port, Service("localhost", (mesh,))) as ads,
        sidecar(port, tmp_path) as caller,
        asyncio.timeout(20),
    ):
        assert await answers(caller, address) == (200, "mesh-1")
        ads.update(Mesh.of([], []), {"localhost"})
        while (answer := await answers(caller, address)) != (200, "users-1"):
            assert answer == (200, "mesh-1")


async def test_a_sidecar_reports_what_it_did_without_a_control_plane(tmp_path: Path, users: Endpoint) -> None:
    """Once it reaches one again; and a server says which Envoys have gone."""
    port, mesh = free_port(), Mesh.of([Service("users", (users,))], [])
    async with sidecar(port, tmp_path) as caller, asyncio.timeout(60):
        async with reported(port, mesh) as (ads, reports, _):
            while NO_ANSWER_CLUSTER not in [name for one in reports._loads for name in wanted(one)]:
                await caller.get("http://users/")
                await asyncio.sleep(0.05)
        assert list(ads.disconnected) == ["caller-1"]
        for number in range(3):
            await caller.get(f"http://localhost:{users.port}/{number}")
        async with reported(port, mesh) as (ads, reports, opened):
            await opened.wait()
        (found,) = reports.openings.recent(time.time())
        assert (found.service, found.instance, found.requests) == ("caller", "caller-1", 3)


def wanted(stream: object) -> list[str]:
    """Return the clusters that an Envoy was asked to report."""
    return list(stream.requested.clusters) if stream.requested else []


@asynccontextmanager
async def reported(port: int, mesh: Mesh) -> AsyncIterator[tuple[AdsServer, Reports, asyncio.Event]]:
    """Run a control plane that takes load reports; yield it, them, and what is set once one has gone on alone."""
    opened = asyncio.Event()
    reports = Reports(opened.set)
    ads = AdsServer(mesh, companion=reports)
    await ads.start(f"127.0.0.1:{port}")
    try:
        yield ads, reports, opened
    finally:
        await ads.stop()


@pytest.mark.parametrize("manager", ["outbound/1", "outbound/none"])
async def test_sidecars_and_servers_of_different_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manager: str
) -> None:
    """An older sidecar asks for the manager by an older name, a newer one for what the server does not know."""
    monkeypatch.setattr(fail_open, "OUTBOUND_MANAGER", manager)
    port = free_port()
    async with http_instance("users-1") as users, http_instance("users-pr-42") as other:
        mesh = Mesh.of([Service("users", (users,))], [OffloadedDeployment("users", "pr-42", (other,))])
        async with sidecar(port, tmp_path) as caller, reported(port, mesh), asyncio.timeout(30):
            headers = {"baggage": "override.route.users=pr-42"}
            while (answer := await answers(caller, "http://users/", **headers)) != (200, "users-pr-42"):
                assert answer[0] == 503
            assert await answers(caller, "http://users/") == (200, "users-1")
            for baggage, instance in (("a=1", b"users-1"), (headers["baggage"], b"users-pr-42")):
                assert instance in await through_a_tunnel(caller, "users:80", baggage)


async def test_an_edge_without_a_control_plane_says_so(tmp_path: Path) -> None:
    """It has no routes, and knows nobody to send a request to."""
    listen, admin = free_port(), free_port()
    edge = Edge(listen=f"127.0.0.1:{listen}", admin_port=admin, control_plane=f"127.0.0.1:{free_port()}")
    process = start_envoy(edge_bootstrap(edge), tmp_path / "edge.log")
    try:
        await process.ready(20)
        async with Client(listen, process, edge) as outside:
            answer = await outside.get("/")
    finally:
        await process.stop()
    expected = "Detour: this edge has no routes: it has not reached the control plane yet\n"
    assert (answer.status_code, answer.text) == (503, expected)
