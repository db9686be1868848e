"""The ADS server: gRPC streams on one side, sessions on the other.

Invariant: a thin adapter. What to say is decided by `Session`; this module reads, waits and writes. Changes of the
mesh that come while a write is waiting are answered together.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

import grpc
from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest as Request
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse as Response

from detour.mesh import Mesh
from detour.xds.admission import Admission
from detour.xds.catalog import ROUTES, Catalog, Key
from detour.xds.session import Session

_ADMITTED_PER_SECOND: Final = 200
_ADMITTED_AT_ONCE: Final = 50
_GRACE_SECONDS: Final = 0.5

_INBOX_MAX: Final = 64
_EDGE: Final = "edge"
"""The role of Envoys whose host names are the world's, not those of a namespace."""


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
    """

    session: Session
    node: str
    service: str
    namespace: str
    role: str
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    sent_bytes: int = 0
    has_ended: bool = False
    _changed: set[str] = field(default_factory=set)
    _inbox: "asyncio.Queue[Request | None]" = field(default_factory=lambda: asyncio.Queue(_INBOX_MAX))

    def receive(self, request: Request) -> None:
        """Take the first request."""
        self._inbox.put_nowait(request)

    async def read(self, requests: AsyncIterator[Request]) -> None:
        """Take requests from the wire until it closes; a full inbox holds the Envoy back."""
        try:
            async for request in requests:
                await self._inbox.put(request)
        finally:
            await self._inbox.put(None)

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

    async def next_responses(self) -> list[Response]:
        """Wait for the next request or change; return what it calls for."""
        request = await self._inbox.get()
        responses = self.session.receive(request) if request is not None else []
        if self._changed:
            subjects, self._changed = self._changed, set()
            responses += self.session.changed(subjects)
        self.sent_bytes += sum(response.ByteSize() for response in responses)
        return responses


class Companion(Protocol):
    """Serves Envoys as well, on the same port."""

    def join(self, ads: "AdsServer", server: grpc.aio.Server) -> None:
        """Add what it serves to the server, before that starts."""

    def telling(self, connection: Connection) -> None:
        """Know that an Envoy is about to be told of clusters or endpoints."""

    def end(self) -> None:
        """Have all streams closed in good order."""


class AdsServer(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):  # type: ignore[misc]
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
        self._home = Catalog(mesh)
        self._catalogs = {"": self._home}
        self.connections: set[Connection] = set()
        self._admission = Admission(_ADMITTED_PER_SECOND, _ADMITTED_AT_ONCE)
        # Two servers on one port would each see half of the Envoys.
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(self, self._server)
        self._companion = companion
        if companion:
            companion.join(self, self._server)

    @property
    def mesh(self) -> Mesh:
        """The mesh that is served."""
        return self._home.mesh

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
            raise OSError(f"cannot listen on {address} for xDS: is the port busy?") from error
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
        for catalog in self._catalogs.values():
            catalog.replace(mesh, subjects)
        for connection in self.connections:
            connection.notify(subjects)

    async def DeltaAggregatedResources(  # noqa: N802  the name is the protocol's
        self, requests: AsyncIterator[Request], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[Response]:
        """Carry one Envoy's stream (`envoy.service.discovery.v3.AggregatedDiscoveryService`)."""
        await asyncio.sleep(self._admission.wait(time.monotonic()))
        requests = aiter(requests)
        first = await anext(requests, None)
        if first is None:
            return
        verified = self.verified(context)
        if verified is None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "this certificate is no sidecar's of this mesh")
            return
        connection = self._introduced(first, verified)
        self.connections.add(connection)
        self._connected()
        reading = asyncio.create_task(connection.read(requests))
        try:
            while not (reading.done() or connection.has_ended):
                for response in await connection.next_responses():
                    if self._companion and response.type_url != ROUTES:
                        self._companion.telling(connection)
                    yield response
        finally:
            self.connections.discard(connection)
            self._connected()
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    def verified(self, context: grpc.aio.ServicerContext) -> str | None:
        """Return the namespace that a caller's certificate speaks for; "" if none is asked for, None if refused."""
        return self._namespace_of(context.auth_context()) if self._namespace_of else ""

    def _introduced(self, request: Request, verified: str) -> Connection:
        """Begin a conversation; an Envoy says in its first request who it is, and in no other."""
        metadata = {key: value.string_value for key, value in request.node.metadata.fields.items()}
        is_edge = metadata.get("role") == _EDGE
        namespace = "" if is_edge else verified or metadata.get("namespace", "")
        connection = Connection(
            Session(self._catalog_of(namespace), is_edge=is_edge),
            node=request.node.id,
            service=request.node.cluster,
            namespace=namespace,
            role=metadata.get("role", ""),
        )
        connection.receive(request)
        return connection

    def _catalog_of(self, namespace: str) -> Catalog:
        """Return the resources as Envoys of a namespace see them."""
        home = self.mesh.settings.naming.home
        if not home or namespace in {"", home}:
            return self._home
        return self._catalogs.setdefault(namespace, Catalog(self.mesh, namespace))
