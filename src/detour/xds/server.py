"""The ADS server: gRPC streams on one side, sessions on the other.

Invariant: a thin adapter. What to say is decided by `Session`; this module reads, waits and writes. A request is
read once the one before is answered, and changes of the mesh that come meanwhile are answered together: a client
that reads slowly, or never, costs no more than any other.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol
from urllib.parse import unquote
from weakref import WeakValueDictionary

import grpc
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest as Request
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse as Response

from detour.envoy.busy import cannot_listen
from detour.mesh import Endpoint, Mesh
from detour.xds.admission import Admission
from detour.xds.cache import Cache
from detour.xds.catalog import EDGES, ROUTES, SETTINGS, Catalog, Key
from detour.xds.holdings import Shared
from detour.xds.methods import Elsewhere, Messages, UnusableError, refuse, stream_stream, write
from detour.xds.routes import ServicesWithTimeouts
from detour.xds.session import Session

_ADMITTED_PER_SECOND: Final = 200
_ADMITTED_AT_ONCE: Final = 50
_GRACE_SECONDS: Final = 0.5

_STREAMS_MAX: Final = 20_000
"""How many streams all clients together may have open: an Envoy has one for each of ADS, load reports and logs."""
_SILENT_SECONDS: Final = 30
"""How long a client may hold a stream before it says anything; Envoy speaks at once."""
_TEXT_MAX: Final = 512
"""How long a node's id, cluster and namespace, and a type's name, may be."""
_LOOKED_AT: Final = ("role", "namespace")
"""What of a node's metadata is kept."""
_PORTS_MAX: Final = 16
_REQUEST_BYTES: Final = 16_000_000
"""The largest request: an Envoy that reconnects names all that it has in one."""
_DEAD_AFTER_MS: Final = 300_000
"""How long a client may say nothing before it is asked whether it is still there."""
_GONE_MAX: Final = 1000
_EDGE: Final = "edge"
"""The role of Envoys whose host names are the world's, not those of a namespace."""

_log = logging.getLogger(__name__)
_ADS: Final = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_OPTIONS: Final = (
    # Two servers on one port would each see half of the Envoys.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", _REQUEST_BYTES),
    # Of a machine that lost its power nobody else would say that it is gone.
    ("grpc.keepalive_time_ms", _DEAD_AFTER_MS),
)

NamespaceOf = Callable[[Mapping[str, Iterable[bytes]]], str | None]


@dataclass(slots=True, eq=False)
class Connection:
    """One Envoy that is connected.

    Args:
        session: Its conversation.
        node: Its id, as in its bootstrap.
        service: The service that it belongs to, or `edge`.
        namespace: The namespace that it is in, where there are any.
        role: `sidecar` or `edge`.
        since: When it connected.
        sent_bytes: Size of all responses sent to it.
        listening: Where it listens for others than callers of its application.
    """

    session: Session
    node: str
    service: str
    namespace: str
    role: str
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    sent_bytes: int = 0
    listening: tuple[Endpoint, ...] = ()
    has_ended: bool = False
    _changed: set[str] = field(default_factory=set)
    _is_over: bool = False
    _inbox: "asyncio.Queue[Request | None]" = field(default_factory=lambda: asyncio.Queue(1))

    def receive(self, request: Request) -> None:
        """Take the first request."""
        self._inbox.put_nowait(request)

    async def read(self, requests: Messages[Request]) -> None:
        """Take requests from the wire until it closes; one that waits to be answered holds the Envoy back."""
        try:
            async for request in requests:
                await self._inbox.put(request)
        finally:
            self._is_over = True
            self._wake()

    def notify(self, subjects: frozenset[str]) -> None:
        """Say that the catalog changed; it concerns those that have asked for something there."""
        if concerned := self.session.subjects & subjects:
            self._changed.update(concerned)
            self._wake()

    def end(self) -> None:
        """Have the stream closed in good order."""
        self.has_ended = True
        self._wake()

    def _wake(self) -> None:
        # A full inbox is reason enough for the stream to wake soon.
        with suppress(asyncio.QueueFull):
            self._inbox.put_nowait(None)

    @property
    def goes_on(self) -> bool:
        """Whether there is, or may come, something to be answered."""
        return not (self.has_ended or (self._is_over and self._inbox.empty()))

    async def next_request(self) -> None:
        """Wait for the next request or change, and take it."""
        request = await self._inbox.get()
        if request is not None:
            self.session.receive(request)

    def is_due(self) -> bool:
        """Take what has changed; say whether there is anything to be said."""
        if self._changed:
            subjects, self._changed = self._changed, set()
            self.session.changed(subjects)
        return self.session.is_due and not self.has_ended

    def respond(self) -> Response | None:
        """Do a part of what is due; return a response if it makes one."""
        response = self.session.respond()
        self.sent_bytes += response.ByteSize() if response else 0
        return response


@dataclass(frozen=True, slots=True)
class Gone:
    """An Envoy that was connected. It has ended, or goes on without the server.

    Args:
        node: Its id.
        service: The service that it belongs to, or `edge`.
        since: When its connection ended.
    """

    node: str
    service: str
    since: datetime


class Companion(Protocol):
    """Serves Envoys as well, on the same port."""

    def join(self, ads: "AdsServer", server: grpc.aio.Server) -> None:
        """Add what it serves to the server, before that starts."""

    def before_sending(self, connection: Connection) -> None:
        """Take note that an Envoy is about to receive clusters or endpoints."""

    def end(self) -> None:
        """Have all streams closed in good order."""


class AdsServer:
    """Serves a mesh to every Envoy that connects.

    Args:
        mesh: The mesh to begin with.
        namespace_of: Gives the namespace that a caller speaks for, by what gRPC has verified of it, or None for
            nobody that is known; without it, callers are believed.
        connected: Called whenever an Envoy has come or gone.
        companion: What else is served to Envoys.
    """

    def __init__(
        self,
        mesh: Mesh,
        namespace_of: NamespaceOf | None = None,
        connected: Callable[[], None] | None = None,
        companion: Companion | None = None,
    ) -> None:
        self._namespace_of = namespace_of
        self._connected = connected or (lambda: None)
        self._cache = Cache()
        self._names = Shared()
        self._home = Catalog(mesh, cache=self._cache)
        self._catalogs = {"": self._home}
        self._timed = ServicesWithTimeouts(mesh)
        self.connections: set[Connection] = set()
        self.gone: dict[str, Gone] = {}
        """By node, the Envoys that were connected and have not come back, the first to go first."""
        self._admission = Admission(_ADMITTED_PER_SECOND, _ADMITTED_AT_ONCE)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=_STREAMS_MAX)
        delta = {"DeltaAggregatedResources": stream_stream(Request, self._converse, _check)}
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(_ADS, delta)])
        self._companion = companion
        if companion:
            companion.join(self, self._server)
        self._server.add_generic_rpc_handlers([Elsewhere()])

    @property
    def mesh(self) -> Mesh:
        """The mesh that is served."""
        return self._home.mesh

    @property
    def listening(self) -> dict[Endpoint, str]:
        """Where Envoys that are connected listen themselves, and which they are."""
        return {where: f"a port of the Envoy {one.node}" for one in self.connections for where in one.listening}

    @property
    def failures(self) -> dict[Key, str]:
        """The resources that could not be built, and why."""
        return {key: why for catalog in self._catalogs.values() for key, why in catalog.failures.items()}

    async def start(self, address: str, credentials: grpc.ServerCredentials | None = None) -> int:
        """Listen on `ip:port`, where port 0 is any free one; return the port.

        Args:
            address: Where to listen.
            credentials: What TLS is spoken with; plain text without.

        Raises:
            OSError: The address is in use or can't be had.
        """
        try:
            port: int = (
                self._server.add_secure_port(address, credentials)
                if credentials
                else self._server.add_insecure_port(address)
            )
        except RuntimeError as error:
            raise cannot_listen(address, error, purpose="xDS") from error
        await self._server.start()
        return port

    async def stop(self) -> None:
        """Close all streams; Envoys keep what they have."""
        for connection in self.connections:
            connection.end()
        if self._companion:
            self._companion.end()
        await self._server.stop(_GRACE_SECONDS)

    def update(self, mesh: Mesh, subjects: Iterable[str]) -> None:
        """Serve another mesh.

        Args:
            mesh: The mesh as it is from here on.
            subjects: The services in which it differs from the one before, and "" if its settings do.
        """
        subjects = frozenset(subjects)
        if self._timed.take(mesh, subjects):
            subjects |= {SETTINGS, EDGES}
        for catalog in self._catalogs.values():
            catalog.replace(mesh, subjects)
        for connection in self.connections:
            connection.notify(subjects)

    async def _converse(self, requests: Messages[Request], context: grpc.aio.ServicerContext) -> None:
        """Carry one Envoy's stream (`envoy.service.discovery.v3.AggregatedDiscoveryService`)."""
        first = await self._first(requests, context)
        if first is None:
            return
        verified = self.verified(context)
        if verified is None:
            await refuse(
                context, grpc.StatusCode.PERMISSION_DENIED, "this certificate is no sidecar's of this mesh"
            )
        connection = self._introduced(first, verified, context.peer())
        self.connections.add(connection)
        self.gone.pop(connection.node, None)
        self._connected()
        reading = asyncio.create_task(connection.read(requests))
        try:
            while connection.goes_on:
                await connection.next_request()
                await self._say(connection, context)
            if reading.done():
                reading.result()
        finally:
            self._forget(connection)
            reading.cancel()
            await asyncio.wait({reading})

    async def _first(self, requests: Messages[Request], context: grpc.aio.ServicerContext) -> Request | None:
        """Wait until an Envoy may begin, and for its first request; None if it is gone.

        Streams of one connection wait behind each other, so that a client that opens thousands delays itself alone.
        """
        peer = context.peer()
        # The streams that wait hold the lock; after the last of them it is forgotten.
        turn = self._turns.setdefault(peer, asyncio.Lock())
        async with turn:
            await asyncio.sleep(self._admission.wait(time.monotonic()))
        try:
            async with asyncio.timeout(_SILENT_SECONDS):
                return await anext(requests, None)
        except TimeoutError:
            await refuse(context, grpc.StatusCode.DEADLINE_EXCEEDED, f"no request in {_SILENT_SECONDS} seconds")

    async def _say(self, connection: Connection, context: grpc.aio.ServicerContext) -> None:
        unkept = connection.session.unkept
        while connection.is_due():
            response = connection.respond()
            if response is None:
                # Many names are being looked at: others have their turn.
                await asyncio.sleep(0)
                continue
            if self._companion and response.type_url != ROUTES:
                self._companion.before_sending(connection)
            await write(context, response)
        if connection.session.unkept and not unkept:
            _log.warning(
                "%s asks for more names, or longer ones, than the server keeps: they are answered once",
                connection.node or "an Envoy without an id",
            )

    def _forget(self, connection: Connection) -> None:
        self.connections.discard(connection)
        connection.session.end()
        if connection.node and all(one.node != connection.node for one in self.connections):
            self.gone[connection.node] = Gone(connection.node, connection.service, datetime.now(UTC))
            if len(self.gone) > _GONE_MAX:
                del self.gone[next(iter(self.gone))]
        if connection.namespace and all(one.namespace != connection.namespace for one in self.connections):
            # A namespace is what an Envoy says it is: nobody is to fill the memory with names of such.
            self._catalogs.pop(connection.namespace, None)
        self._connected()

    def verified(self, context: grpc.aio.ServicerContext) -> str | None:
        """Return the namespace that a caller's certificate speaks for; "" if none is asked for, None if refused."""
        return self._namespace_of(context.auth_context()) if self._namespace_of else ""

    def _introduced(self, request: Request, verified: str, peer: str) -> Connection:
        """Begin a conversation; an Envoy says in its first request who it is, and in no other."""
        metadata = {key: value.string_value for key, value in request.node.metadata.fields.items()}
        is_edge = metadata.get("role") == _EDGE
        namespace = "" if is_edge else verified or metadata.get("namespace", "")
        connection = Connection(
            Session(self._catalog_of(namespace), is_edge=is_edge, shared=self._names),
            node=request.node.id,
            service=request.node.cluster,
            namespace=namespace,
            role=metadata.get("role", ""),
            listening=_listening(request, peer),
        )
        connection.receive(request)
        return connection

    def _catalog_of(self, namespace: str) -> Catalog:
        """Return the resources as Envoys of a namespace see them."""
        home = self.mesh.settings.naming.home
        if not home or namespace in {"", home}:
            return self._home
        return self._catalogs.setdefault(namespace, Catalog(self.mesh, namespace, self._cache))


def _listening(request: Request, peer: str) -> tuple[Endpoint, ...]:
    """Return where an Envoy listens itself, by the ports that its bootstrap names and the address it comes from.

    Args:
        request: Its first.
        peer: Its address as gRPC writes it: `ipv4:127.0.0.1:40000`, `ipv6:%5B::1%5D:40000`.
    """
    address = unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")
    found = request.node.metadata.fields["ports"].list_value.values if "ports" in request.node.metadata else ()
    with suppress(ValueError):
        return tuple(Endpoint(address, int(one.number_value)) for one in found[:_PORTS_MAX])
    return ()


def _check(request: Request) -> None:
    """Raise `UnusableError` for a request that cannot be answered, or would have to be kept at length."""
    if not request.type_url:
        raise UnusableError(
            "a request on an aggregated stream says in type_url what it is about; this one does not"
        )
    texts = {"type_url": request.type_url, "node.id": request.node.id, "node.cluster": request.node.cluster}
    texts |= {name: value.string_value for name, value in request.node.metadata.fields.items()}
    for name in ("type_url", "node.id", "node.cluster", *_LOOKED_AT):
        if len(texts.get(name, "")) > _TEXT_MAX:
            raise UnusableError(f"{name} has more than {_TEXT_MAX} characters")
