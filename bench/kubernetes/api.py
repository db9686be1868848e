"""A client of the API server that costs little: thousands of writes are part of what is measured here.

Keep-alive connections over TLS, one request at a time on each. Answers are asked for as metadata only, which is
less to write for an API server that shares its cores with what is measured.
"""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import yaml

from bench.kubernetes.objects import Json

_METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
_MERGE: Final = "application/merge-patch+json"
_TIMEOUT_SECONDS: Final = 60
_GONE: Final = 404
_IDLE_SECONDS: Final = 10
_CHUNK: Final = 2**20


class RefusedError(RuntimeError):
    """The API server refused a request.

    Args:
        message: For people.
        code: The HTTP status.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Api:
    """As many connections as there are requests at once.

    Args:
        kubeconfig: With a client certificate, as that of the tests' cluster.
    """

    def __init__(self, kubeconfig: Path) -> None:
        content = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
        url = urlsplit(cluster["server"])
        self._host, self._port = url.hostname or "", url.port or 443
        self._trust = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self._trust.load_cert_chain(user["client-certificate"], user["client-key"])
        self._idle: list[_Connection] = []

    async def create(self, collection: str, one: Json) -> Json:
        """Create an object; return its metadata."""
        return await self._call("POST", collection, one)

    async def patch(self, path: str, change: Json) -> Json:
        """Merge a change into an object (RFC 7396); return its metadata."""
        return await self._call("PATCH", path, change, _MERGE)

    async def delete(self, path: str, grace_seconds: int | None = None) -> None:
        """Delete an object; a pod on a node gets its grace period, or the one given."""
        options = {} if grace_seconds is None else {"gracePeriodSeconds": grace_seconds}
        await self._call("DELETE", path, options)

    async def find(self, path: str) -> Json | None:
        """Read an object, or a list; None if there is none."""
        try:
            return await self._call("GET", path, accept="application/json")
        except RefusedError as refused:
            if refused.code != _GONE:
                raise
            return None

    @asynccontextmanager
    async def listening(self, collection: str) -> AsyncIterator[Callable[[], float]]:
        """Watch a collection in the context; gives what says when something was last heard (`time.monotonic`)."""
        heard = time.monotonic()
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._trust)
        host = f"host: {self._host}:{self._port}\r\naccept: application/json"
        # Without a version a watch begins with what there is (API concepts, "resourceVersion semantics for watch").
        writer.write(f"GET {collection}?watch=true&resourceVersion=0 HTTP/1.1\r\n{host}\r\n\r\n".encode())

        async def listen() -> None:
            nonlocal heard
            while await reader.read(_CHUNK):
                heard = time.monotonic()

        task = asyncio.create_task(listen())
        try:
            yield lambda: heard
        finally:
            task.cancel()
            writer.close()

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        content_type: str = "application/json",
        accept: str = _METADATA,
    ) -> Json:
        headers = {"host": f"{self._host}:{self._port}", "accept": accept, "content-type": content_type}
        content = json.dumps(body).encode() if body is not None else b""
        connection = self._reusable() or await self._connect()
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                status, answer = await connection.ask(method, path, headers, content)
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        if status >= 400:
            raise RefusedError(f"{method} {path}: {answer.decode(errors='replace')[:400]}", status)
        found: Json = json.loads(answer)
        return found

    def _reusable(self) -> "_Connection | None":
        """Take a connection that is idle; not one that the API server may be about to close."""
        while self._idle:
            connection = self._idle.pop()
            if time.monotonic() - connection.used < _IDLE_SECONDS:
                return connection
            connection.close()
        return None

    async def _connect(self) -> "_Connection":
        return _Connection(*await asyncio.open_connection(self._host, self._port, ssl=self._trust))


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.used = 0.0
        """When it was last answered, by `time.monotonic`."""

    async def ask(self, method: str, path: str, headers: Mapping[str, str], content: bytes) -> tuple[int, bytes]:
        """Send a request; return the status and the body (RFC 9112)."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"{method} {path} HTTP/1.1\r\n{lines}content-length: {len(content)}\r\n\r\n"
        self._writer.write(head.encode() + content)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = answer.partition("content-length: ")[2].partition("\r\n")[0]
        body = await (self._reader.readexactly(int(length)) if length else self._chunks())
        self.used = time.monotonic()
        return int(answer.split(" ", 2)[1]), body

    async def _chunks(self) -> bytes:
        found = []
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            found.append((await self._reader.readexactly(size + 2))[:-2])
        await self._reader.readuntil(b"\r\n")
        return b"".join(found)

    def close(self) -> None:
        self._writer.close()
