"""SIGTERM while requests are in flight: everything that was accepted is answered to its end."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect

from cli.running import Running, running, serving
from parts import application, grpc_instance
from ports import free_port


class Slow:
    """An application that answers once it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.begun = 0
        routes = [Route("/slow", self.slow), Route("/stream", self.stream), Route("/fast", self.fast)]
        self.app = Starlette(routes=[*routes, WebSocketRoute("/ws", self.echo)])

    async def slow(self, _request: Request) -> PlainTextResponse:
        """Answer late."""
        self.begun += 1
        await self.go.wait()
        return PlainTextResponse("done")

    async def fast(self, _request: Request) -> PlainTextResponse:
        """Answer at once."""
        return PlainTextResponse("done")

    async def stream(self, _request: Request) -> StreamingResponse:
        """Answer half at once, and half late: more than a socket takes."""

        async def parts() -> AsyncIterator[bytes]:
            yield b"x" * 100_000
            self.begun += 1
            await self.go.wait()
            yield b"y" * 3_000_000

        return StreamingResponse(parts())

    async def echo(self, websocket: WebSocket) -> None:
        """Answer each message."""
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(text)

    async def until_begun(self, number: int) -> None:
        """Wait until that many requests have arrived."""
        async with asyncio.timeout(20):
            while self.begun < number:
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def edge(folder: Path, *options: str) -> AsyncIterator[tuple[Running, str, Slow]]:
    """Run an edge in front of such an application; it serves a gRPC service as well."""
    slow = Slow()
    async with application(slow.app) as web, grpc_instance("echo-1") as echo:
        mesh = folder / "mesh" / "mesh.yaml"
        mesh.parent.mkdir()
        mesh.write_text(
            f"services:\n  web: {{endpoints: ['{web}']}}\n  echo: {{protocol: http2, endpoints: ['{echo}']}}\n"
            "edge: {hosts: {'*': web, echo.example.test: echo}}\n"
        )
        with serving(mesh) as server:
            at = f"127.0.0.1:{free_port()}"
            arguments = ["edge", "--listen", at, "--admin-port", str(free_port()), "--control-plane", server.xds]
            with running(folder / "edge.log", *arguments, *options) as command:
                await asyncio.to_thread(command.wait_for, "Edge at")
                async with httpx.AsyncClient(trust_env=False) as client:
                    while not (await client.get(f"http://{at}/fast")).is_success:
                        await asyncio.sleep(0.02)
                yield command, at, slow


async def test_an_edge_finishes_what_it_has_accepted(tmp_path: Path) -> None:
    """Late answers, halves of answers, WebSockets and gRPC streams; then it ends by itself, with status 0."""
    async with edge(tmp_path) as (command, at, slow), httpx.AsyncClient(timeout=20, trust_env=False) as client:
        url = f"http://{at}"
        late = [asyncio.create_task(client.get(f"{url}/slow")) for _ in range(5)]
        channel = grpc.aio.insecure_channel(at, [("grpc.default_authority", "echo.example.test")])
        async with (
            channel,
            connect(f"ws://{at}/ws", proxy=None) as websocket,
            client.stream("GET", f"{url}/stream") as stream,
        ):
            call = channel.stream_stream("/test.Echo/StreamStream")()
            await call.write(b"1")
            assert await call.read() == b"echo-1:1"
            await slow.until_begun(6)
            command.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(command.wait_for, "Waiting up to 30 s for requests in flight")
            with pytest.raises(httpx.ConnectError):
                await httpx.AsyncClient(trust_env=False).get(url)
            slow.go.set()
            answers = await asyncio.gather(*late)
            assert [answer.text for answer in answers] == ["done"] * 5
            assert {answer.headers.get("connection") for answer in answers} == {"close"}
            received = [part async for part in stream.aiter_bytes()]
            assert sum(map(len, received)) == 3_100_000
            await websocket.send("still here")
            assert await websocket.recv() == "still here"
            await call.write(b"2")
            assert await call.read() == b"echo-1:2"
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
        assert await asyncio.to_thread(command.process.wait, 20) == 0
        assert "Ended after" not in command.text()


async def test_kept_connections_are_asked_to_leave(tmp_path: Path) -> None:
    """Clients that send one request after another: none that was accepted fails, and nobody waits for the idle."""
    async with edge(tmp_path) as (command, at, _):
        host, _, port = at.rpartition(":")
        failed: list[str] = []

        async def keep_asking() -> None:
            reader, writer = await asyncio.open_connection(host, int(port))
            while True:
                writer.write(b"GET /fast HTTP/1.1\r\nHost: web\r\n\r\n")
                try:
                    head = await reader.readuntil(b"\r\n\r\n")
                    body = await reader.readexactly(4)
                except (OSError, asyncio.IncompleteReadError) as error:
                    failed.append(repr(error))
                    break
                assert body == b"done"
                if b"connection: close" in head:
                    break
                await asyncio.sleep(0.01)
            writer.close()

        asking = [asyncio.create_task(keep_asking()) for _ in range(10)]
        idle = await asyncio.open_connection(host, int(port))
        await asyncio.sleep(0.1)
        command.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(command.process.wait, 20) == 0
        await asyncio.gather(*asking)
        idle[1].close()
        assert failed == []


@pytest.mark.parametrize("way", ["time", "signal"])
async def test_a_drain_ends_in_time(tmp_path: Path, way: str) -> None:
    """At --drain-seconds, or with a second signal; a line says what was broken off."""
    async with edge(tmp_path, "--drain-seconds", "2" if way == "time" else "600") as (command, at, slow):
        async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
            late = asyncio.create_task(client.get(f"http://{at}/slow"))
            await slow.until_begun(1)
            command.process.send_signal(signal.SIGINT)
            await asyncio.to_thread(command.wait_for, "Waiting up to")
            if way == "signal":
                command.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(command.process.wait, 20) == 0
            with pytest.raises(httpx.TransportError):
                await late
        said = "Ended after 2 s with requests still in flight: 1\n" if way == "time" else "ends immediately\n"
        assert command.text().endswith(said)
        slow.go.set()
