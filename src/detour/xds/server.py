"""The ADS server: connects gRPC streams to sessions.

Invariant: a thin adapter. `Session` decides what to send; this module reads, waits and writes. It reads a request
only after it has answered the one before, and answers mesh changes that arrive in the meantime together. A client
that reads slowly, or never, therefore costs no more than any other.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, Protocol
from weakref import WeakValueDictionary

import grpc
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest as Request

from detour.envoy.busy import cannot_listen
from detour.mesh import Endpoint, Mesh
from detour.xds.admission import Admission
from detour.xds.cache import Cache
from detour.xds.catalog import EDGES, ROUTES, SETTINGS, Catalog, Key
from detour.xds.connection import Connection, DisconnectedEnvoy
from detour.xds.holdings import Shared
from detour.xds.methods import Messages, UnsupportedMethods, UnusableError, refuse, stream_stream, write
from detour.xds.node import Node, why_unusable
from detour.xds.routes import ServicesWithTimeouts
from detour.xds.session import Session

_ADMITTED_PER_SECOND: Final = 200
_ADMITTED_AT_ONCE: Final = 50
_GRACE_SECONDS: Final = 0.5

_STREAMS_MAX: Final = 20_000
"""Maximum number of open streams of all clients together. An Envoy opens one each for ADS, load reports and
logs."""
_SILENT_SECONDS: Final = 30
"""How long a client may hold a stream before its first request. Envoy sends one at once."""
_REQUEST_BYTES: Final = 16_000_000
"""Maximum size of a request. An Envoy that reconnects lists everything it holds in its first request."""
_DEAD_AFTER_MS: Final = 300_000
"""How long a client may be silent before the server sends a keepalive ping."""
_DISCONNECTED_MAX: Final = 1000

_log = logging.getLogger(__name__)
_ADS: Final = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_OPTIONS: Final = (
    # With SO_REUSEPORT, two servers on one port would each receive some of the Envoys.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", _REQUEST_BYTES),
    # Without keepalive pings the server would never notice that a client's machine lost power.
    ("grpc.keepalive_time_ms", _DEAD_AFTER_MS),
)

NamespaceOf = Callable[[Mapping[str, Iterable[bytes]]], str | None]

ServiceOf = Callable[[str, str, str], str]
"""Returns the service of a sidecar: of its namespace, its node id, and the service that its bootstrap names."""


class Companion(Protocol):
    """Another gRPC service for Envoys on the same port."""

    def join(self, ads: "AdsServer", server: grpc.aio.Server) -> None:
        """Register the service's methods, before the server starts."""

    def before_sending(self, connection: Connection) -> None:
        """Prepare for an Envoy that is about to receive clusters or endpoints."""

    def end(self) -> None:
        """Request that all streams close gracefully."""


class AdsServer:
    """Serves a mesh to all Envoys that connect.

    Args:
        mesh: The initial mesh.
        namespace_of: Returns the namespace of a caller's verified certificate, or None if the certificate is
            unknown.
            Without it, callers are trusted.
        connected: Called when an Envoy connects or disconnects.
        companion: Another service for Envoys on the same port.
        service_of: Returns the service of a sidecar; by default the one that its bootstrap names.
    """

    def __init__(
        self,
        mesh: Mesh,
        namespace_of: NamespaceOf | None = None,
        connected: Callable[[], None] | None = None,
        companion: Companion | None = None,
        service_of: ServiceOf | None = None,
    ) -> None:
        self.service_of: ServiceOf = service_of or (lambda _namespace, _node, named: named)
        self._namespace_of = namespace_of
        self._connected = connected or (lambda: None)
        self._cache = Cache()
        self._names = Shared()
        self._home = Catalog(mesh, cache=self._cache)
        self._catalogs = {"": self._home}
        self._timed = ServicesWithTimeouts(mesh)
        self.connections: set[Connection] = set()
        self.disconnected: dict[str, DisconnectedEnvoy] = {}
        """By node id, the Envoys that disconnected and have not reconnected, oldest first."""
        self._admission = Admission(_ADMITTED_PER_SECOND, _ADMITTED_AT_ONCE)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=_STREAMS_MAX)
        delta = {"DeltaAggregatedResources": stream_stream(Request, self._converse, _check)}
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(_ADS, delta)])
        self._companion = companion
        if companion:
            companion.join(self, self._server)
        self._server.add_generic_rpc_handlers([UnsupportedMethods()])

    @property
    def mesh(self) -> Mesh:
        """The mesh that is served."""
        return self._home.mesh

    @property
    def listening(self) -> dict[Endpoint, str]:
        """The addresses that connected Envoys listen on, each with a description."""
        return {where: f"a port of the Envoy {one.node}" for one in self.connections for where in one.listening}

    @property
    def failures(self) -> dict[Key, str]:
        """The resources that could not be built, and the reasons."""
        return {key: why for catalog in self._catalogs.values() for key, why in catalog.failures.items()}

    async def start(self, address: str, credentials: grpc.ServerCredentials | None = None) -> int:
        """Listen on `ip:port`; port 0 means any free port. Return the port.

        Args:
            address: Where to listen.
            credentials: The TLS credentials; None for plain text.

        Raises:
            OSError: The address is in use or not available.
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
        """Close all streams. Envoys keep their configuration."""
        for connection in self.connections:
            connection.end()
        if self._companion:
            self._companion.end()
        await self._server.stop(_GRACE_SECONDS)

    def update(self, mesh: Mesh, subjects: Iterable[str]) -> None:
        """Serve another mesh.

        Args:
            mesh: The new mesh.
            subjects: The services that changed, and `SETTINGS` or `EDGES` for those.
        """
        subjects = frozenset(subjects)
        if self._timed.update(mesh, subjects):
            subjects |= {SETTINGS, EDGES}
        for catalog in self._catalogs.values():
            catalog.replace(mesh, subjects)
        for connection in self.connections:
            connection.notify(subjects)

    async def _converse(self, requests: Messages[Request], context: grpc.aio.ServicerContext) -> None:
        """Serve one Envoy's stream (`envoy.service.discovery.v3.AggregatedDiscoveryService`)."""
        first = await self._first(requests, context)
        if first is None:
            return
        verified = self.verified(context)
        if verified is None:
            why = "this certificate does not belong to a sidecar of this mesh"
            await refuse(context, grpc.StatusCode.PERMISSION_DENIED, why)
        connection = self._connection_of(first, verified, context.peer())
        self.connections.add(connection)
        self.disconnected.pop(connection.node, None)
        self._connected()
        reading = asyncio.create_task(connection.read(requests))
        try:
            while connection.is_open:
                await connection.next_request()
                await self._send_responses(connection, context)
            if reading.done():
                reading.result()
        finally:
            self._forget(connection)
            reading.cancel()
            await asyncio.wait({reading})

    async def _first(self, requests: Messages[Request], context: grpc.aio.ServicerContext) -> Request | None:
        """Wait until the Envoy is admitted, then for its first request; return None if it disconnected.

        Streams of one connection wait for each other, so a client that opens thousands delays only itself.
        """
        peer = context.peer()
        # Waiting streams keep the lock alive; it is dropped after the last one.
        turn = self._turns.setdefault(peer, asyncio.Lock())
        async with turn:
            await asyncio.sleep(self._admission.wait(time.monotonic()))
        try:
            async with asyncio.timeout(_SILENT_SECONDS):
                return await anext(requests, None)
        except TimeoutError:
            await refuse(context, grpc.StatusCode.DEADLINE_EXCEEDED, f"no request in {_SILENT_SECONDS} seconds")

    async def _send_responses(self, connection: Connection, context: grpc.aio.ServicerContext) -> None:
        not_kept = connection.session.not_kept
        while connection.is_due():
            response = connection.respond()
            if response is None:
                # A large request is processed in steps; other connections get their turn here.
                await asyncio.sleep(0)
                continue
            if self._companion and response.type_url != ROUTES:
                self._companion.before_sending(connection)
            await write(context, response)
        if connection.session.not_kept and not not_kept:
            _log.warning(
                "%s subscribes to more names than the server keeps up to date: each further one is answered once",
                connection.node or "an Envoy without an id",
            )

    def _forget(self, connection: Connection) -> None:
        self.connections.discard(connection)
        connection.session.end()
        if connection.node and all(one.node != connection.node for one in self.connections):
            self.disconnected[connection.node] = DisconnectedEnvoy(
                connection.node, connection.service, datetime.now(UTC)
            )
            if len(self.disconnected) > _DISCONNECTED_MAX:
                del self.disconnected[next(iter(self.disconnected))]
        if connection.namespace and all(one.namespace != connection.namespace for one in self.connections):
            # An Envoy without a certificate may claim any namespace, so invented namespaces must not fill the
            # memory.
            self._catalogs.pop(connection.namespace, None)
        self._connected()

    def verified(self, context: grpc.aio.ServicerContext) -> str | None:
        """Return the namespace of a caller's certificate: "" if none is required, None if the caller is refused."""
        return self._namespace_of(context.auth_context()) if self._namespace_of else ""

    def _connection_of(self, request: Request, verified: str, peer: str) -> Connection:
        """Start a conversation. Envoy sends its node only in the first request."""
        node = Node.of(request)
        # Host names in requests from outside belong to no namespace.
        namespace = "" if node.is_edge else verified or node.namespace
        connection = Connection(
            Session(self._catalog_of(namespace), is_edge=node.is_edge, shared=self._names),
            node=node.name,
            service=node.service if node.is_edge else self.service_of(namespace, node.name, node.service),
            namespace=namespace,
            role=node.role,
            version=node.version,
            listening=node.listening(peer),
        )
        connection.receive(request)
        return connection

    def _catalog_of(self, namespace: str) -> Catalog:
        """Return the resources as seen from a namespace."""
        home = self.mesh.settings.naming.home
        if not home or namespace in {"", home}:
            return self._home
        return self._catalogs.setdefault(namespace, Catalog(self.mesh, namespace, self._cache))


def _check(request: Request) -> None:
    """Raise `UnusableError` for a request that cannot be served."""
    if why := why_unusable(request):
        raise UnusableError(why)
