"""The parts of a real mesh, for tests: instances that say who they are, a control plane, and Envoys.

Everything listens on free ports of 127.0.0.1 and ends with the context that it was started in.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import grpc
import httpx
import hypercorn.asyncio
import hypercorn.config
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from detour.envoy import Edge, EnvoyProcess, Sidecar, edge_bootstrap, sidecar_bootstrap, start_envoy
from detour.mesh import (
    DeploymentApplied,
    DeploymentRemoved,
    Endpoint,
    Mesh,
    MeshEvent,
    OffloadedDeployment,
    Service,
    Settings,
    apply,
)
from detour.xds.catalog import Key, subjects
from detour.xds.server import AdsServer, Companion
from ports import free_port


class _Quiet(uvicorn.Server):
    @contextmanager
    def capture_signals(self):
        yield


@asynccontextmanager
async def http_instance(name: str) -> AsyncIterator[Endpoint]:
    """Run an HTTP/1.1 instance: every path answers who it is and what it was sent; /ws echoes, name first."""

    async def answer(request: Request) -> JSONResponse:
        body = await request.body()
        headers = [(key.decode(), value.decode("latin-1")) for key, value in request.headers.raw]
        return JSONResponse({"instance": name, "headers": headers, "length": len(body), "path": request.url.path})

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(name)
        async for text in websocket.iter_text():
            await websocket.send_text(text)

    every = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]
    routes = [WebSocketRoute("/ws", echo), Route("/{path:path}", answer, methods=every)]
    async with application(Starlette(routes=routes)) as endpoint:
        yield endpoint


@asynccontextmanager
async def application(app: Starlette) -> AsyncIterator[Endpoint]:
    """Run a web application, and give its address."""
    config = uvicorn.Config(
        app,
        log_config=None,
        lifespan="off",
        ws="websockets-sansio",
        timeout_graceful_shutdown=1,
        timeout_keep_alive=600,  # an Envoy that sends on a connection that is just being closed answers 503
    )
    server = _Quiet(config)
    listening = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve([listening]))
    try:
        yield Endpoint("127.0.0.1", listening.getsockname()[1])
    finally:
        server.should_exit = True
        await serving
        listening.close()


@asynccontextmanager
async def both_instance(name: str, listening: socket.socket | None = None) -> AsyncIterator[Endpoint]:
    """Run an instance that speaks HTTP/1.1 and HTTP/2, and answers who it is and in which version it was asked."""

    async def answer(request: Request) -> JSONResponse:
        return JSONResponse({"instance": name, "version": request.scope["http_version"]})

    every = ["GET", "POST", "PUT", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", answer, methods=every)])
    listening = listening or socket.create_server(("127.0.0.1", 0))
    address, port = listening.getsockname()
    config = hypercorn.config.Config()
    config.bind = [f"fd://{listening.detach()}"]  # the server closes it
    config.errorlog = None
    ending = asyncio.Event()
    serving = asyncio.create_task(hypercorn.asyncio.serve(app, config, shutdown_trigger=ending.wait))
    try:
        yield Endpoint(address, port)
    finally:
        ending.set()
        await serving


@asynccontextmanager
async def grpc_instance(name: str, address: str = "127.0.0.1") -> AsyncIterator[Endpoint]:
    """Run a gRPC instance with a method of each kind, which answer with their name and what they were sent."""

    async def unary(request: bytes, _context) -> bytes:
        return name.encode() + b":" + request

    async def unary_stream(request: bytes, _context):
        for part in (b"1", b"2"):
            yield name.encode() + b":" + request + part

    async def stream_unary(requests, _context) -> bytes:
        return name.encode() + b":" + b"".join([request async for request in requests])

    async def stream_stream(requests, _context):
        async for request in requests:
            yield name.encode() + b":" + request

    methods = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "UnaryStream": grpc.unary_stream_rpc_method_handler(unary_stream),
        "StreamUnary": grpc.stream_unary_rpc_method_handler(stream_unary),
        "StreamStream": grpc.stream_stream_rpc_method_handler(stream_stream),
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Echo", methods)])
    port = server.add_insecure_port(f"{address}:0")
    await server.start()
    try:
        yield Endpoint(address, port)
    finally:
        await server.stop(0)


@dataclass
class MeshUnderTest:
    """A control plane with the mesh that it serves, and the Envoys that were started in it."""

    ads: AdsServer
    port: int
    logs: Path
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def apply(self, *events: MeshEvent) -> None:
        """Change the mesh."""
        self.ads.update(apply(self.ads.mesh, *events), subjects(events))

    def has_taken(self, type_url: str, name: str) -> bool:
        """Say whether the one Envoy that is connected has acknowledged a resource as it is now."""
        (connection,) = self.ads.connections
        held = connection.session.acknowledged[type_url].get(name)
        return held == self.ads._home.resource(Key(type_url, name)).version

    def register(self, service: str, name: str, *endpoints: Endpoint) -> None:
        """Register an offloaded deployment."""
        self.apply(DeploymentApplied(OffloadedDeployment(service, name, endpoints)))

    def unregister(self, service: str, name: str) -> None:
        """Remove an offloaded deployment."""
        self.apply(DeploymentRemoved(service, name))

    async def sidecar(self, **changes: object) -> "Client":
        """Start a sidecar of the service `caller`, and return a client that calls through it."""
        sidecar = Sidecar(
            service="caller",
            instance=f"caller-{free_port()}",
            app_port=free_port(),
            outbound_port=free_port(),
            inbound_port=free_port(),
            admin_port=free_port(),
            control_plane=f"127.0.0.1:{self.port}",
        )
        sidecar = replace(sidecar, **changes)
        process = await self.envoy(sidecar_bootstrap(sidecar), sidecar.instance)
        return await self.stack.enter_async_context(Client(sidecar.outbound_port, process, sidecar))

    async def edge(self, *, trust_overrides: bool) -> "Client":
        """Start an edge, and return a client that calls it from outside."""
        port = free_port()
        edge = Edge(
            listen=f"127.0.0.1:{port}",
            admin_port=free_port(),
            control_plane=f"127.0.0.1:{self.port}",
            trust_overrides=trust_overrides,
        )
        process = await self.envoy(edge_bootstrap(edge), "edge")
        return await self.stack.enter_async_context(Client(port, process, edge))

    async def envoy(self, bootstrap: dict, name: str) -> EnvoyProcess:
        """Start an Envoy and wait until it is ready."""
        process = start_envoy(bootstrap, self.logs / f"{name}.log")
        self.stack.push_async_callback(process.stop)
        await process.ready(20)
        return process


class Client(httpx.AsyncClient):
    """An HTTP client that sends plain names through a sidecar, or calls an edge by its address."""

    def __init__(self, port: int, envoy: EnvoyProcess, settings: Sidecar | Edge) -> None:
        self.port, self.envoy, self.settings = port, envoy, settings
        address = f"http://127.0.0.1:{port}"
        where = {"proxy": address} if isinstance(settings, Sidecar) else {"base_url": address}
        super().__init__(**where, timeout=20, trust_env=False)

    async def until(self, path: str, holds: Callable[[httpx.Response], bool], **more: object) -> httpx.Response:
        """Ask until the answer is as it should be: what the control plane tells takes a moment to arrive."""
        async with asyncio.timeout(20):
            while not holds(answer := await self.get(path, **more)):
                await asyncio.sleep(0.01)
        return answer

    async def stat(self, name: str) -> int:
        """Read one of Envoy's counters or gauges."""
        async with httpx.AsyncClient(trust_env=False) as admin:
            answer = await admin.get(f"http://127.0.0.1:{self.settings.admin_port}/stats?filter=^{name}$")
        return int(answer.text.partition(": ")[2] or 0)


async def through_a_tunnel(caller: Client, there: str, baggage: str) -> bytes:
    """Send a request through a CONNECT tunnel; return the response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", caller.port)
    writer.write(f"CONNECT {there} HTTP/1.1\r\nHost: {there}\r\n\r\n".encode())
    assert b"200" in await reader.readuntil(b"\r\n\r\n")
    writer.write(f"GET / HTTP/1.1\r\nHost: {there}\r\nbaggage: {baggage}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer


@asynccontextmanager
async def running_mesh(
    logs: Path,
    services: Iterable[Service] = (),
    deployments: Iterable[OffloadedDeployment] = (),
    settings: Settings | None = None,
    companion: Companion | None = None,
) -> AsyncIterator[MeshUnderTest]:
    """Run a control plane that serves a mesh."""
    ads = AdsServer(Mesh.of(services, deployments, settings), companion=companion)
    mesh = MeshUnderTest(ads, await ads.start("127.0.0.1:0"), logs)
    try:
        async with mesh.stack:
            yield mesh
    finally:
        await ads.stop()


def edge_of(previews: Mapping[str, str] = MappingProxyType({}), **hosts: str) -> Settings:
    """Return the settings of a mesh whose edge serves these hosts (`any` stands for `*`)."""
    served = {"*" if host == "any" else host: to for host, to in hosts.items()}
    return Settings(edge_hosts=MappingProxyType(served), edge_previews=previews)
