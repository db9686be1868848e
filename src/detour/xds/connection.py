"""One Envoy's stream at the server: its session, and the queue between the stream and that session.

Invariant: at most one request waits. The stream is read no further until that one has been answered, so a client
that does not read its responses cannot fill the memory.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest as Request
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse as Response

from detour.mesh import Endpoint
from detour.xds.methods import Messages
from detour.xds.session import Session


@dataclass(slots=True, eq=False)
class Connection:
    """One connected Envoy.

    Args:
        session: Its xDS conversation.
        node: Its node id, from its bootstrap.
        service: The service that it belongs to, or `edge`.
        namespace: Its namespace, if the mesh has namespaces.
        role: `sidecar` or `edge`.
        version: The version of Detour that wrote its bootstrap; "" before 0.1.0.
        since: When it connected.
        sent_bytes: Size of all responses sent to it.
        listening: The addresses of its own listeners, such as those for outbound traffic.
    """

    session: Session
    node: str
    service: str
    namespace: str
    role: str
    version: str = ""
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    sent_bytes: int = 0
    listening: tuple[Endpoint, ...] = ()
    has_ended: bool = False
    _changed: set[str] = field(default_factory=set)
    _is_over: bool = False
    _inbox: "asyncio.Queue[Request | None]" = field(default_factory=lambda: asyncio.Queue(1))

    def receive(self, request: Request) -> None:
        """Queue the first request."""
        self._inbox.put_nowait(request)

    async def read(self, requests: Messages[Request]) -> None:
        """Queue requests from the stream until it closes. An unanswered request blocks the next one."""
        try:
            async for request in requests:
                await self._inbox.put(request)
        finally:
            self._is_over = True
            self._wake()

    def notify(self, subjects: frozenset[str]) -> None:
        """Report a change of the catalog. Subjects that the Envoy has not subscribed to are ignored."""
        if concerned := self.session.subjects & subjects:
            self._changed.update(concerned)
            self._wake()

    def end(self) -> None:
        """Request that the stream closes gracefully."""
        self.has_ended = True
        self._wake()

    def _wake(self) -> None:
        # If the inbox is full, the stream wakes up anyway.
        with suppress(asyncio.QueueFull):
            self._inbox.put_nowait(None)

    @property
    def is_open(self) -> bool:
        """Whether the stream has, or can still receive, something to answer."""
        return not (self.has_ended or (self._is_over and self._inbox.empty()))

    async def next_request(self) -> None:
        """Wait for the next request or mesh change, and process it."""
        request = await self._inbox.get()
        if request is not None:
            self.session.receive(request)

    def is_due(self) -> bool:
        """Process pending mesh changes; return whether a response is due."""
        if self._changed:
            subjects, self._changed = self._changed, set()
            self.session.changed(subjects)
        return self.session.is_due and not self.has_ended

    def respond(self) -> Response | None:
        """Do part of the pending work. Return a response if one is complete."""
        response = self.session.respond()
        self.sent_bytes += response.ByteSize() if response else 0
        return response


@dataclass(frozen=True, slots=True)
class DisconnectedEnvoy:
    """An Envoy that disconnected. It has ended, or it continues without the server.

    Args:
        node: Its node id.
        service: The service that it belongs to, or `edge`.
        since: When it disconnected.
    """

    node: str
    service: str
    since: datetime
