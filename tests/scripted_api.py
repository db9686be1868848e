"""An API server of Kubernetes that a test controls: lists, watches, and every way in which they go wrong.

It keeps objects as a real one does, each change with a version of its own, and forgets only on command.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster, Context, User

Json = dict[str, Any]


@dataclass(eq=False)
class Watch:
    """A watch that is open."""

    plural: str
    namespace: str
    since: int
    writer: asyncio.StreamWriter

    async def send(self, event: Json) -> None:
        """Send a line."""
        await self.send_bytes(json.dumps(event).encode() + b"\n")

    async def send_bytes(self, content: bytes) -> None:
        """Send anything, as a chunk."""
        self.writer.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        await self.writer.drain()

    async def end(self) -> None:
        """End in good order."""
        self.writer.write(b"0\r\n\r\n")
        self.writer.close()


@dataclass
class ScriptedApi:
    """What the server has, and what it has been asked."""

    port: int = 0
    version: int = 100
    page: int = 500
    objects: dict[tuple[str, str, str], Json] = field(default_factory=dict)
    history: list[tuple[int, str, Json]] = field(default_factory=list)
    oldest: int = 0
    watches: list[Watch] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    is_silent: bool = False
    answers_watches: bool = True
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _server: asyncio.Server | None = None
    _connections: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def config(self) -> SingleConfig:
        """Return how to reach it."""
        cluster = Cluster(server=f"http://127.0.0.1:{self.port}")
        return SingleConfig(
            context_name="test", context=Context(cluster="test"), cluster=cluster, user=User(token="t")
        )

    async def put(self, plural: str, one: Json) -> Json:
        """Create or change an object, and send the event to the watches."""
        metadata = one.setdefault("metadata", {})
        metadata.setdefault("namespace", "shop")
        key = (plural, metadata["namespace"], metadata["name"])
        self.version += 1
        metadata["resourceVersion"] = str(self.version)
        kind = "MODIFIED" if key in self.objects else "ADDED"
        self.objects[key] = json.loads(json.dumps(one))
        await self._send_event(plural, {"type": kind, "object": self.objects[key]})
        return one

    async def delete(self, plural: str, name: str, namespace: str = "shop") -> None:
        """Delete an object, and send the event to the watches."""
        gone = self.objects.pop((plural, namespace, name))
        self.version += 1
        gone["metadata"]["resourceVersion"] = str(self.version)
        await self._send_event(plural, {"type": "DELETED", "object": gone})

    async def watched(self, plural: str, count: int = 1) -> Watch:
        """Wait until at least `count` watches of a kind are open; return the last."""
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(lambda: len(self.watches_of(plural)) >= count)
        return self.watches_of(plural)[-1]

    async def was_asked(self, text: str, times: int = 1) -> None:
        """Wait until requests with that text have come `times` times."""
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(lambda: sum(text in one for one in self.asked) >= times)

    def watches_of(self, plural: str) -> list[Watch]:
        """Return the open watches of a kind."""
        return [watch for watch in self.watches if watch.plural == plural]

    def forget(self) -> None:
        """Forget the history: a watch from an older version gets 410."""
        self.oldest = self.version

    def drop(self) -> None:
        """Break every connection off, in the midst of whatever it was."""
        for writer in self._connections:
            writer.transport.abort()

    async def stop(self) -> None:
        """Be away."""
        if self._server:
            self._server.close()
        self.drop()

    async def start(self) -> None:
        """Be there (again, at the same address)."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _send_event(self, plural: str, event: Json) -> None:
        self.history.append((self.version, plural, event))
        namespace = event["object"]["metadata"]["namespace"]
        for watch in self.watches_of(plural):
            if not self.is_silent and watch.namespace in {"", namespace}:
                with suppress(ConnectionError):
                    await watch.send(event)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head.split(b" ")[1].decode(), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._connections.discard(writer)
            self.watches = [watch for watch in self.watches if watch.writer is not writer]
            writer.transport.abort()

    async def _answer(self, target: str, writer: asyncio.StreamWriter) -> None:
        url = urlsplit(target)
        query = defaultdict(str, {key: values[0] for key, values in parse_qs(url.query).items()})
        parts = url.path.split("/")
        plural, namespace = parts[-1], parts[-2] if "namespaces" in parts else ""
        async with self.changed:
            self.asked.append(target)
            self.changed.notify_all()
        if plural in self.refusals:
            code, message = self.refusals[plural]
            await _send(writer, code, {"kind": "Status", "code": code, "message": message})
        elif query["watch"]:
            await self._watch(Watch(plural, namespace, int(query["resourceVersion"]), writer))
        else:
            await self._list(plural, namespace, int(query["continue"] or 0), query["labelSelector"], writer)

    async def _list(
        self, plural: str, namespace: str, start: int, selector: str, writer: asyncio.StreamWriter
    ) -> None:
        found = [one for key, one in sorted(self.objects.items()) if key[0] == plural and namespace in {"", key[1]}]
        found = [one for one in found if not selector or selector in one["metadata"].get("labels", {})]
        end = start + self.page
        metadata = {"resourceVersion": str(self.version), "continue": str(end) if end < len(found) else ""}
        await _send(writer, 200, {"metadata": metadata, "items": found[start:end]})

    async def _watch(self, watch: Watch) -> None:
        if not self.answers_watches:
            return
        if watch.since < self.oldest:
            await _send(watch.writer, 410, {"kind": "Status", "code": 410, "message": "too old resource version"})
            return
        watch.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for version, plural, event in list(self.history):
            if version > watch.since and plural == watch.plural and not self.is_silent:
                await watch.send(event)
        async with self.changed:
            self.watches.append(watch)
            self.changed.notify_all()


@asynccontextmanager
async def scripted_api() -> AsyncIterator[ScriptedApi]:
    """Run the server on a free port."""
    api = ScriptedApi()
    await api.start()
    try:
        yield api
    finally:
        await api.stop()


async def _send(writer: asyncio.StreamWriter, code: int, body: Json) -> None:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {code} {HTTPStatus(code).phrase}\r\nContent-Length: {len(content)}\r\n\r\n"
    writer.write(head.encode() + content)
    await writer.drain()
