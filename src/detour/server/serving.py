"""Running the server: its tasks, from startup to graceful shutdown.

Invariant: Envoys are served once the mesh and the certificates are known, and never before.
"""

import asyncio
import logging
import os
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

from detour.access import Issuer, IssuerSettings
from detour.database import Database
from detour.envoy.listening import take_no_more
from detour.mesh import EndpointRules
from detour.mesh.endpoint_rules import Network
from detour.server.api import api
from detour.server.control_plane import ControlPlane
from detour.server.followed_database import FollowedDatabase
from detour.server.identities import Identities, TokenBook
from detour.server.sockets import Addresses, Sockets, bound
from detour.server.webhook import webhook
from detour.server.wiring import common_parts, control_plane_of

if TYPE_CHECKING:
    import grpc

    from detour.server.cluster import Cluster
    from detour.server.installation import Installed

_log = logging.getLogger(__name__)

_DRAIN_SECONDS = 30
_QUEUE_SECONDS = 2
"""Maximum time to wait, at shutdown, for connections that have not been accepted yet."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """How to request a graceful shutdown.

    Args:
        requested: Once it is set, the server accepts no more connections and completes the requests in progress.
        drain_seconds: Maximum time for this.
    """

    requested: asyncio.Event = field(default_factory=asyncio.Event)
    drain_seconds: float = _DRAIN_SECONDS


class _Http(uvicorn.Server):
    """Uvicorn without signal handlers: this process shuts down other parts gracefully, too."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    mesh_file: Path | None,
    state: Path | None,
    addresses: Addresses,
    ready: Callable[[Addresses], None],
    *,
    database: str = "",
    issuer: IssuerSettings | None = None,
    cluster: "Cluster | None" = None,
    installed: "Installed | None" = None,
    shutdown: Shutdown | None = None,
    networks: Sequence[Network] | None = None,
) -> None:
    """Serve until a shutdown is requested.

    Event streams then end at once, and requests when they are complete. Streams of Envoys are closed last, so that
    Envoys connect to another server.

    Args:
        mesh_file: Read now, and again whenever it changes; optional with a cluster.
        state: The file of deployments registered at run time, created if missing; unused with a cluster.
        addresses: The addresses to listen on.
        database: The URL of the database of scenarios, as `Database` takes it; "" for none.
        issuer: The issuer for signing in; without one, programs on this machine need no token.
        ready: Called with the addresses in use once everything is served.
        cluster: The Kubernetes cluster whose Services form the mesh.
        installed: This replica, if the server is installed in that cluster.
        shutdown: How to request a shutdown; without it, the server runs until it is cancelled.
        networks: The networks for registered endpoints; by default private networks, and loopback if only Envoys on
            this machine can reach the server.

    Raises:
        MeshFileError: The mesh file has a mistake.
        OSError: An address is not available, or the state or the database cannot be opened.
        ValueError: The URL of the database or of the issuer is invalid.
    """
    async with AsyncExitStack() as held:
        held.enter_context(_without_cancellation_tracebacks())
        sockets = held.enter_context(bound(addresses))
        kept = await asyncio.to_thread(_open, database, held) if database else None
        trusted = await held.enter_async_context(Issuer(issuer)) if issuer else None
        identities = Identities(await asyncio.to_thread(TokenBook, kept) if kept else None, trusted)
        rules = EndpointRules(addresses.networks if networks is None else tuple(networks))
        common = await common_parts(mesh_file, kept, rules)
        plane = await control_plane_of(common, cluster, installed, state, held)
        await _Server(plane, sockets, shutdown or Shutdown(), cluster, installed).run(identities, ready)
    _log.info("shut down; Envoys keep their configuration")


class _Server:
    """The tasks of a running server.

    Args:
        plane: What is served.
        sockets: Where it is served.
        shutdown: How a shutdown is requested.
        cluster: The Kubernetes cluster whose Services form the mesh.
        installed: This replica, if the server is installed in that cluster.
    """

    def __init__(
        self,
        plane: ControlPlane,
        sockets: Sockets,
        shutdown: Shutdown,
        cluster: "Cluster | None",
        installed: "Installed | None",
    ) -> None:
        self._plane = plane
        self._sockets = sockets
        self._shutdown = shutdown
        self._cluster = cluster
        self._installed = installed
        self._admission: list[_Http] = []

    async def run(self, identities: Identities, ready: Callable[[Addresses], None]) -> None:
        """Serve until a shutdown is requested.

        Args:
            identities: Who the API's callers are.
            ready: Called with the addresses in use once everything is served.
        """
        http = self._http(api(self._plane, identities))
        running: list[asyncio.Task[None]] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                running.append(tasks.create_task(self._shut_down_when_requested(http)))
                running.append(tasks.create_task(self._plane.follow()))
                running.append(tasks.create_task(self._begin(tasks, running, ready)))
                if self._installed:
                    running.append(tasks.create_task(self._installed.lead()))
                await http.serve([self._sockets.api])
                for task in running:
                    task.cancel()
                for server in self._admission:
                    # Gracefully: a pod whose admission request is interrupted starts without a sidecar.
                    server.should_exit = True
        finally:
            await self._plane.ads.stop()

    async def _begin(
        self,
        tasks: asyncio.TaskGroup,
        running: "list[asyncio.Task[None]]",
        ready: Callable[[Addresses], None],
    ) -> None:
        """Serve Envoys and the webhook once the mesh and the certificates are known."""
        credentials = None
        if self._cluster:
            await self._cluster.is_synced.wait()
            await self._plane.switch_is_known()
            if self._installed and self._installed.has_certificates:
                running.append(tasks.create_task(self._installed.follow_certificate()))
                credentials = await self._serve_webhook(self._cluster, self._installed, tasks)
        xds_port = await self._plane.ads.start(self._sockets.addresses.xds, credentials)
        self._plane.is_ready = True
        at = self._sockets.in_use(xds_port)
        self._plane.listening.update(at.purposes())
        ready(at)

    async def _serve_webhook(
        self, cluster: "Cluster", installed: "Installed", tasks: asyncio.TaskGroup
    ) -> "grpc.ServerCredentials | None":
        """Wait for the server's certificate, and start the webhook with it; return the credentials for Envoys."""
        tls = await installed.serving()
        if self._sockets.webhook:
            app = webhook(installed.injection(await cluster.version()), installed)
            server = self._http(app, tls.https)
            # Not among the tasks that a shutdown cancels: it ends by itself, when its requests are answered.
            tasks.create_task(server.serve([self._sockets.webhook]))
            self._admission.append(server)
        return tls.grpc_credentials() if installed.replica.tls else None

    def _http(self, app: FastAPI, tls: ssl.SSLContext | None = None) -> "_Http":
        return _Http(_config(app, tls, drain_seconds=self._shutdown.drain_seconds))

    async def _shut_down_when_requested(self, http: uvicorn.Server) -> None:
        await self._shutdown.requested.wait()
        await take_no_more(os.getpid(), _QUEUE_SECONDS)
        # Clients of event streams never end them, so the server does.
        self._plane.events.close()
        http.should_exit = True


def _open(url: str, held: AsyncExitStack) -> FollowedDatabase:
    return FollowedDatabase(held.enter_context(Database(url)))


def _config(
    app: FastAPI, tls: ssl.SSLContext | None = None, *, drain_seconds: float = _DRAIN_SECONDS
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ssl_context_factory=(lambda *_: tls) if tls else None,
        access_log=False,
        lifespan="off",
        log_config=None,
        log_level=logging.WARNING,
        timeout_graceful_shutdown=ceil(drain_seconds),
        ws="none",
    )


@contextmanager
def _without_cancellation_tracebacks() -> Iterator[None]:
    """Suppress log entries about requests that the shutdown cancels: they are not errors."""

    def is_relevant(record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if record.exc_info else None
        return kind is None or not issubclass(kind, asyncio.CancelledError)

    log = logging.getLogger("uvicorn.error")
    log.addFilter(is_relevant)
    try:
        yield
    finally:
        log.removeFilter(is_relevant)
