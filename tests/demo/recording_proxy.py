"""A proxy in place of the sidecars: it knows where services are, and records what each request carried."""

import asyncio
from dataclasses import dataclass, field
from typing import Self


@dataclass
class RecordingProxy:
    """An HTTP proxy that forwards by host name.

    Args:
        ports: The loopback port of each service.
        seen: The host, and the baggage, of each HTTP request; of a CONNECT tunnel the host alone.
    """

    ports: dict[str, int]
    seen: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, headers = _parse(await reader.readuntil(b"\r\n\r\n"))
        host = target.removeprefix("http://").partition("/")[0].partition(":")[0]
        self.seen.append((host, headers.get("baggage", "")))
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self.ports[host])
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            path = "/" + target.removeprefix("http://").partition("/")[2]
            # One request a connection, so that none is forwarded unseen.
            lines = [f"{key}: {value}" for key, value in headers.items() if key != "connection"]
            upstream_writer.write(
                "\r\n".join([f"GET {path} HTTP/1.1", *lines, "connection: close", "\r\n"]).encode()
            )
        await asyncio.gather(_copy(reader, upstream_writer), _copy(upstream_reader, writer))


def _parse(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, target, _ = first.split()
    return method, target, {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
