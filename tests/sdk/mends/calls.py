"""A program: makes a call by each client, under overrides and under none, and prints what arrived, as JSON.

Its arguments are what comes before the calls (Python), and around them (a context manager, "" for none).
"""

import asyncio
import contextlib
import json
import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BEFORE, AROUND = sys.argv[1:3]
exec(BEFORE)  # what a service does first

import detour.sdk  # noqa: E402

detour.sdk.install()

import urllib.request  # noqa: E402

import aiohttp  # noqa: E402
import grpc  # noqa: E402
import grpc.aio  # noqa: E402
import httpx  # noqa: E402
import requests  # noqa: E402
import urllib3  # noqa: E402
import websockets.asyncio.client  # noqa: E402
import websockets.asyncio.server  # noqa: E402
import websockets.sync.client  # noqa: E402
from google.protobuf.wrappers_pb2 import StringValue  # noqa: E402

from detour.sdk import using  # noqa: E402
from propagation.relay import calls, handlers  # noqa: E402

seen: list[str | None] = []


class Sink(BaseHTTPRequestHandler):
    """Notes the baggage of each request."""

    def do_GET(self) -> None:
        """Note it."""
        lines = self.headers.get_all("baggage")
        seen.append(",".join(lines) if lines else None)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def around() -> contextlib.AbstractContextManager[object]:
    """Return what each call is within."""
    return eval(AROUND) if AROUND else contextlib.nullcontext()


def note_metadata(_: object, context: grpc.ServicerContext) -> StringValue:
    """Note the baggage of a call by gRPC."""
    lines = [str(value) for key, value in context.invocation_metadata() if key == "baggage"]
    seen.append(",".join(lines) or None)
    return StringValue()


async def note_handshake(connection: websockets.asyncio.server.ServerConnection) -> None:
    """Note the baggage of a WebSocket."""
    seen.append(",".join(connection.request.headers.get_all("baggage")) or None)


async def by_aiohttp(url: str, *, websocket: bool = False) -> None:
    """Call by aiohttp."""
    async with aiohttp.ClientSession() as session:
        with contextlib.suppress(aiohttp.WSServerHandshakeError):
            await (session.ws_connect(url) if websocket else session.get(url))


async def by_httpx(url: str) -> None:
    """Call by httpx's asynchronous client."""
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get(url)


async def by_websockets(url: str) -> None:
    """Connect by websockets."""
    async with websockets.asyncio.client.connect(url, proxy=None):
        pass


async def by_grpc_aio(address: str) -> None:
    """Call by gRPC on asyncio."""
    async with grpc.aio.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        await calls(channel)["grpc-unary"](StringValue())


prepared = requests.Request("GET", "http://127.0.0.1").prepare()
request = httpx.Request("GET", "http://127.0.0.1")
old = urllib.request.Request("http://127.0.0.1")
metadata = grpc.aio.Metadata(("own", "x"))


def clients(url: str, address: str, socket: str) -> Iterator[tuple[str, object]]:
    """Give each client's name, and what makes a call by it; some with an object that all calls share."""
    session, client, manager = requests.Session(), httpx.Client(trust_env=False), urllib3.PoolManager()
    headers = {"own": "x"}
    prepared.url = old.full_url = url
    request.url = httpx.URL(url)
    channel = grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)])
    yield "requests", lambda: session.get(url)
    yield "requests, prepared", lambda: session.send(prepared)
    yield "httpx", lambda: client.get(url)
    yield "httpx, request", lambda: client.send(request)
    yield "httpx, asyncio", lambda: asyncio.run(by_httpx(url))
    yield "urllib3", lambda: manager.request("GET", url, headers=headers)
    yield "urllib.request", lambda: urllib.request.urlopen(url).close()
    yield "urllib.request, request", lambda: urllib.request.urlopen(old).close()
    yield "aiohttp", lambda: asyncio.run(by_aiohttp(url))
    yield "aiohttp, WebSocket", lambda: asyncio.run(by_aiohttp(url, websocket=True))
    yield "gRPC", lambda: calls(channel)["grpc-unary"](StringValue(), metadata=(("own", "x"),))
    yield "gRPC, future", lambda: calls(channel)["grpc-unary"].future(StringValue()).result()
    yield "gRPC, asyncio", lambda: asyncio.run(by_grpc_aio(address))
    yield "websockets", lambda: asyncio.run(by_websockets(socket))


def servers() -> tuple[str, str, str]:
    """Serve HTTP, gRPC and WebSockets; give where."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    from concurrent.futures import ThreadPoolExecutor

    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([handlers(note_metadata, None, None, None)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    globals()["kept"] = server
    ports: list[int] = []
    ready = threading.Event()

    async def serve() -> None:
        async with websockets.asyncio.server.serve(note_handshake, "127.0.0.1", 0) as serving:
            ports.append(next(iter(serving.sockets)).getsockname()[1])
            ready.set()
            await asyncio.Future()

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    ready.wait(30)
    return f"http://127.0.0.1:{http.server_port}/", f"127.0.0.1:{port}", f"ws://127.0.0.1:{ports[0]}"


found: dict[str, list[str | None]] = {}
for name, call in clients(*servers()):
    seen.clear()
    with around():
        with using("users=pr-42"):
            call()
        call()
        with using("users=pr-7"):
            call()
    found[name] = list(seen)
sys.stdout.write(json.dumps(found))
sys.stdout.flush()
os._exit(0)  # without waiting for the servers
