"""Ports whose protocol the mesh does not declare speak what their caller speaks, by every way to them.

`test_transparent.py` has the same for redirected connections.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
import websockets

from detour.mesh import OffloadedDeployment, Protocol, Service, ServiceApplied
from parts import Client, MeshUnderTest, both_instance, edge_of, grpc_instance, http_instance, running_mesh

OVERRIDE = "override.route.users=pr-42,override.route.greeter=pr-42,override.route.old=pr-42"
BOTH = pytest.mark.parametrize(
    ("baggage", "suffix"), [("a=b", "1"), (OVERRIDE, "pr-42")], ids=["plain", "override"]
)
WAYS = pytest.mark.parametrize("way", ["proxy", "tunnel", "edge"])
VERSIONS = pytest.mark.parametrize(
    ("option", "version", "answered"),
    [("--http1.0", "1.1", "1"), ("--http1.1", "1.1", "1.1"), ("--http2-prior-knowledge", "2", "2")],
    ids=["HTTP/1.0", "HTTP/1.1", "h2c"],
)


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[MeshUnderTest]:
    """Run services that speak both versions, HTTP/2 only and HTTP/1.1 only; the mesh declares none of it."""
    async with AsyncExitStack() as stack:
        kinds = {"users": both_instance, "greeter": grpc_instance, "old": http_instance}
        baseline, deployments = {}, []
        for name, start in kinds.items():
            baseline[name] = await stack.enter_async_context(start(f"{name}-1"))
            offloaded = await stack.enter_async_context(start(f"{name}-pr-42"))
            deployments.append(OffloadedDeployment(name, "pr-42", (offloaded,)))
        services = [
            *(Service(name, (endpoint,)) for name, endpoint in baseline.items()),
            *(Service(f"tcp-{name}", (endpoint,), Protocol.TCP) for name, endpoint in baseline.items()),
        ]
        settings = edge_of(any="users", greeter="greeter", old="old")
        yield await stack.enter_async_context(running_mesh(tmp_path, services, deployments, settings))


@pytest.fixture
async def caller(mesh: MeshUnderTest) -> Client:
    """Return a client that calls through a sidecar."""
    return await mesh.sidecar()


async def curl(port: int, way: str, host: str, *options: str, baggage: str = "a=b") -> tuple[int, str, str]:
    """Call a host through a sidecar or an edge; return the status, the version of the response and its body."""
    ways = {
        "proxy": ("--header", f"Host: {host}", f"http://127.0.0.1:{port}/"),
        "edge": ("--header", f"Host: {host}", f"http://127.0.0.1:{port}/"),
        "tunnel": ("--proxytunnel", "--proxy", f"http://127.0.0.1:{port}", f"http://{host}:8080/"),
    }
    process = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--max-time", "20", "--noproxy", "", *options, "--header", f"baggage: {baggage}"),
        *("--write-out", "\n%{http_code} %{http_version}", *ways[way]),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    body, _, end = output.decode().rpartition("\n")
    status, _, version = end.partition(" ")
    return int(status), version, body


async def port_of(mesh: MeshUnderTest, way: str) -> int:
    """Start an edge or a sidecar; return its port."""
    return (await (mesh.edge(trust_overrides=True) if way == "edge" else mesh.sidecar())).port


@WAYS
@VERSIONS
async def test_a_request_keeps_its_version(
    mesh: MeshUnderTest, way: str, option: str, version: str, answered: str
) -> None:
    """Only HTTP/1.0 becomes HTTP/1.1, as everywhere."""
    port = await port_of(mesh, way)
    for baggage, instance in (("a=b", "users-1"), (OVERRIDE, "users-pr-42")):
        status, came_back, body = await curl(port, way, "users", option, baggage=baggage)
        assert (status, json.loads(body)) == (200, {"instance": instance, "version": version})
        assert came_back.startswith(answered)


@BOTH
@WAYS
async def test_grpc_works(mesh: MeshUnderTest, way: str, baggage: str, suffix: str) -> None:
    """Through the proxy port, as grpcio tunnels it, and at an edge; a unary call and a conversation."""
    port = await port_of(mesh, way)
    if way == "tunnel":
        target, options = "greeter:50051", [("grpc.http_proxy", f"http://127.0.0.1:{port}")]
    else:
        target, options = (
            f"127.0.0.1:{port}",
            [("grpc.default_authority", "greeter"), ("grpc.enable_http_proxy", 0)],
        )
    metadata = [("baggage", baggage)]
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        answer = await channel.unary_unary("/test.Echo/Unary")(b"a", metadata=metadata, timeout=20)
        assert answer == f"greeter-{suffix}:a".encode()
        call = channel.stream_stream("/test.Echo/StreamStream")(metadata=metadata, timeout=20)
        for part in (b"a", b"b"):
            await call.write(part)
            assert await call.read() == f"greeter-{suffix}:".encode() + part


@BOTH
@pytest.mark.parametrize("way", ["proxy", "tunnel"])
async def test_a_websocket_opens(caller: Client, way: str, baggage: str, suffix: str) -> None:
    """An upgrade of HTTP/1.1."""
    straight = {"host": "127.0.0.1", "port": caller.port, "proxy": None}
    by = straight if way == "proxy" else {"proxy": f"http://127.0.0.1:{caller.port}"}
    async with websockets.connect("ws://old/ws", additional_headers={"baggage": baggage}, **by) as socket:
        assert await socket.recv() == f"old-{suffix}"
        await socket.send("hello")
        assert await socket.recv() == "hello"


@pytest.mark.parametrize("version", [grpc, None], ids=["gRPC", "HTTP/1.1"])
async def test_inbound_needs_no_declaration_either(mesh: MeshUnderTest, version: object) -> None:
    """Requests reach the application as they arrive."""
    endpoint = mesh.ads.mesh.services["greeter" if version else "old"].endpoints[0]
    sidecar = await mesh.sidecar(app_port=endpoint.port)
    inbound = sidecar.settings.inbound_port
    if version:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{inbound}", [("grpc.enable_http_proxy", 0)]) as channel:
            assert await channel.unary_unary("/test.Echo/Unary")(b"a", timeout=20) == b"greeter-1:a"
    else:
        assert json.loads((await curl(inbound, "proxy", "any"))[2])["instance"] == "old-1"


@WAYS
@pytest.mark.parametrize(
    ("host", "option"), [("greeter", "--http1.1"), ("old", "--http2-prior-knowledge")], ids=["HTTP/1.1", "h2c"]
)
async def test_a_caller_that_the_service_does_not_understand_gets_the_likely_cause(
    mesh: MeshUnderTest, way: str, host: str, option: str
) -> None:
    """As without Detour the call fails; the body says what to declare."""
    status, _, body = await curl(await port_of(mesh, way), way, host, option)
    endpoint = mesh.ads.mesh.services[host].endpoints[0]
    assert (status, body.startswith(f"Detour: service {host} at {endpoint} ")) == (502, True)
    assert "the protocol of the request, because the mesh declares none" in body


@WAYS
async def test_envoy_translates_to_a_declared_protocol(mesh: MeshUnderTest, way: str) -> None:
    """It may know more than a service's callers: a browser's HTTP/2 reaches a service that speaks only HTTP/1.1."""
    old = mesh.ads.mesh.services["old"]
    mesh.apply(ServiceApplied(replace(old, protocol=Protocol.HTTP1)))
    status, version, body = await curl(await port_of(mesh, way), way, "old", "--http2-prior-knowledge")
    assert (status, version, json.loads(body)["instance"]) == (200, "2", "old-1")


@VERSIONS
async def test_a_tcp_port_passes_unread(caller: Client, option: str, version: str, answered: str) -> None:
    """In a tunnel, whatever it carries: an override in it goes to the service like every other byte."""
    status, _, body = await curl(caller.port, "tunnel", "tcp-users", option, baggage=OVERRIDE)
    unchanged = {"1": "1.0"}.get(answered, version)
    assert (status, json.loads(body)) == (200, {"instance": "users-1", "version": unchanged})
    assert await caller.stat("http.tunnel.downstream_rq_total") == 0


@VERSIONS
async def test_http_to_a_tcp_port_without_a_tunnel_keeps_its_version(
    caller: Client, option: str, version: str, answered: str
) -> None:
    """The sidecar has read it by then, as HTTP; it does not translate."""
    status, came_back, body = await curl(caller.port, "proxy", "tcp-users", option)
    assert (status, json.loads(body)) == (200, {"instance": "users-1", "version": version})
    assert came_back.startswith(answered)


async def test_grpc_to_a_tcp_port_passes(caller: Client) -> None:
    """With an override in its metadata, too, which no sidecar sees."""
    options = [("grpc.http_proxy", f"http://127.0.0.1:{caller.port}")]
    metadata = [("baggage", "override.route.tcp-greeter=pr-42")]
    async with grpc.aio.insecure_channel("tcp-greeter:50051", options=options) as channel:
        assert await channel.unary_unary("/test.Echo/Unary")(b"a", metadata=metadata, timeout=20) == b"greeter-1:a"
