"""The gRPC services for reports of Envoys, on the port of ADS.

Invariant: thin adapters. `access_log`, `calls` and `trials` decide what reports mean; this module reads them, and
requests the loads of clusters. A caller's certificate says who it is, as with ADS.

Envoy counts a cluster's requests only after the server has requested them. If the server requested all clusters,
Envoy would miss the first second of each new cluster, and most tests are shorter than that. So the server requests
clusters by name, and a new name before it sends the cluster.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

import grpc
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage, StreamAccessLogsResponse
from envoy.service.load_stats.v3.lrs_pb2 import LoadStatsRequest, LoadStatsResponse

from detour.envoy.vocabulary import NO_ANSWER_CLUSTER
from detour.mesh import Mesh
from detour.traffic.access_log import hop_of, trial_of
from detour.traffic.calls import Calls, counts
from detour.traffic.departures import Departures
from detour.traffic.openings import Openings
from detour.traffic.reporter import Reporter, reporter
from detour.traffic.trials import Trials
from detour.xds.connection import Connection
from detour.xds.methods import Messages, refuse, stream_stream, stream_unary, write
from detour.xds.server import AdsServer

_REPORTS_PER_SECOND: Final = 100
"""Maximum number of reports per second of all Envoys: each contains the whole node of an Envoy, 60 kB."""

_UNSEEN_SECONDS: Final = 10
"""The interval of reports while no client looks at calls."""

_NAMED_MAX: Final = 1000
"""An Envoy with more clusters reports all of them: to list all names again for each new one would cost too much."""

_ENTRIES_MAX: Final = 1000
"""Maximum number of entries that are read from one message of a log: an Envoy sends one at a time."""

_LOADS: Final = "envoy.service.load_stats.v3.LoadReportingService"
_LOGS: Final = "envoy.service.accesslog.v3.AccessLogService"

_LOOK_SECONDS: Final = 60.0
"""How long a client that has looked at calls may want to see more."""


@dataclass(slots=True, eq=False)
class _Loads:
    """One Envoy's stream of load reports.

    Args:
        node: The Envoy's id.
        requested: The last request for reports.
    """

    node: str
    requested: LoadStatsResponse | None = None
    has_ended: bool = False
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Have the request for reports updated."""
        self.woken.set()

    def end(self) -> None:
        """Close the stream in good order."""
        self.has_ended = True
        self.wake()


class Reports:
    """Receives the reports of Envoys (`detour.xds.server.Companion`).

    Attributes:
        calls: Recent calls between services.
        trials: The trial requests that are under way.
        departures: Recent requests that left the mesh with overrides.
        openings: Sidecars that worked without a control plane.

    Args:
        opened: Called when a sidecar reports that it worked without a control plane.
        mesh: Returns the mesh in force; by default the one that ADS serves.
    """

    def __init__(self, opened: Callable[[], None] | None = None, mesh: Callable[[], Mesh] | None = None) -> None:
        self._opened = opened or (lambda: None)
        self._mesh_in_force = mesh or self._mesh_served
        self.openings = Openings()
        self.calls = Calls()
        self.trials = Trials()
        self.departures = Departures()
        self._ads: AdsServer | None = None
        self._loads: set[_Loads] = set()
        self._looked = -math.inf
        self._ended = asyncio.Event()

    def join(self, ads: AdsServer, server: grpc.aio.Server) -> None:
        """Serve Envoys on the server of ADS."""
        self._ads = ads
        loads = {"StreamLoadStats": stream_stream(LoadStatsRequest, self._stream_loads)}
        logs = {"StreamAccessLogs": stream_unary(StreamAccessLogsMessage, self._stream_logs)}
        for service, methods in ((_LOADS, loads), (_LOGS, logs)):
            server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, methods)])

    def before_sending(self, connection: Connection) -> None:
        """Request the loads of new clusters, so that they are counted from the first request on."""
        for one in self._loads:
            if one.node == connection.node:
                one.wake()

    def look(self) -> None:
        """Have Envoys report often for a while, because a client looks at calls."""
        was_seen, self._looked = self._is_seen, time.monotonic()
        if not was_seen:
            for one in self._loads:
                one.wake()

    def end(self) -> None:
        """Close all streams."""
        self._ended.set()
        for one in self._loads:
            one.end()

    async def _stream_loads(self, requests: Messages[LoadStatsRequest], context: grpc.aio.ServicerContext) -> None:
        """Receive one Envoy's load reports (`envoy.service.load_stats.v3.LoadReportingService`)."""
        first = await anext(requests, None)
        if first is None:
            return
        caller = await self._introduced(first.node, context)
        # The first message of an Envoy that reconnects contains the load since its last report.
        self._take_loads(first, caller)
        stream = _Loads(first.node.id)
        self._loads.add(stream)
        reading = asyncio.create_task(self._read_loads(requests, caller, stream))
        try:
            while not (reading.done() or stream.has_ended):
                wanted = self._wanted(stream)
                if wanted != stream.requested:
                    stream.requested = wanted
                    await write(context, wanted)
                await stream.woken.wait()
                stream.woken.clear()
            if reading.done():
                reading.result()
        finally:
            self._loads.discard(stream)
            reading.cancel()
            await asyncio.wait({reading})

    async def _stream_logs(
        self, requests: Messages[StreamAccessLogsMessage], context: grpc.aio.ServicerContext
    ) -> StreamAccessLogsResponse:
        """Receive one Envoy's access log (`envoy.service.accesslog.v3.AccessLogService`)."""
        first = await anext(requests, None)
        if first is not None:
            caller = await self._introduced(first.identifier.node, context)
            self._take_hops(first, caller)
            reading = asyncio.create_task(self._read_hops(requests, caller))
            ending = asyncio.create_task(self._ended.wait())
            try:
                await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    reading.result()
            finally:
                reading.cancel()
                ending.cancel()
                await asyncio.wait({reading, ending})
        return StreamAccessLogsResponse()

    @property
    def _is_seen(self) -> bool:
        return time.monotonic() < self._looked + _LOOK_SECONDS

    @property
    def _mesh(self) -> Mesh:
        return self._mesh_in_force()

    def _mesh_served(self) -> Mesh:
        return self._ads.mesh if self._ads else Mesh()

    async def _introduced(self, node: Node, context: grpc.aio.ServicerContext) -> Reporter:
        """Return the identity of an Envoy; refuse one that the mesh cannot have."""
        verified = self._ads.verified(context) if self._ads else ""
        if verified is None:
            why = "this certificate does not belong to a sidecar of this mesh"
            await refuse(context, grpc.StatusCode.PERMISSION_DENIED, why)
        caller = reporter(node, verified or "", self._mesh.settings.naming)
        if caller is None:
            await refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "node.cluster is not the name of a service")
        if caller.is_edge or self._ads is None:
            return caller
        service = self._ads.service_of(caller.namespace, caller.instance, node.cluster)
        return replace(caller, service=self._mesh.settings.naming.name(service, caller.namespace))

    async def _read_loads(self, requests: Messages[LoadStatsRequest], caller: Reporter, stream: _Loads) -> None:
        try:
            async for request in requests:
                self._take_loads(request, caller)
                stream.wake()
        finally:
            stream.wake()

    def _take_loads(self, request: LoadStatsRequest, caller: Reporter) -> None:
        at = time.time()
        if self.openings.add(request, caller, at):
            self._opened()
        for one in counts(request, caller, self._mesh):
            self.calls.add(one, at)

    def _wanted(self, stream: _Loads) -> LoadStatsResponse:
        """Return what an Envoy should report, and how often.

        If the Envoy gets its clusters from another server, their names are unknown here: it reports all of them.
        """
        wanted = LoadStatsResponse()
        seconds = math.ceil(len(self._loads) / _REPORTS_PER_SECOND)
        wanted.load_reporting_interval.seconds = seconds if self._is_seen else max(seconds, _UNSEEN_SECONDS)
        connections = [one for one in self._ads.connections if one.node == stream.node] if self._ads else []
        count = sum(one.session.cluster_count for one in connections)
        wanted.send_all_clusters = not connections or count > _NAMED_MAX
        if not wanted.send_all_clusters:
            names = {name for one in connections for name in one.session.clusters}
            wanted.clusters.extend(sorted(names))
            if any(one.role == "sidecar" for one in connections):
                wanted.clusters.append(NO_ANSWER_CLUSTER)
        return wanted

    async def _read_hops(self, requests: Messages[StreamAccessLogsMessage], caller: Reporter) -> None:
        async for message in requests:
            self._take_hops(message, caller)

    def _take_hops(self, message: StreamAccessLogsMessage, caller: Reporter) -> None:
        for entry in islice(message.http_logs.log_entry, _ENTRIES_MAX):
            if self.departures.add(entry, caller, self._mesh, time.time()):
                continue
            if trial := self.trials.find(trial_of(entry)):
                trial.take(hop_of(entry, caller, self._mesh.settings.naming))
