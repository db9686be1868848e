"""Running the server: its sockets, its tasks, and its graceful shutdown.

Invariant: all addresses are bound before anything is served, so a busy port is an error at startup.
"""

import asyncio
import logging
import os
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

from detour.access import Issuer, IssuerSettings
from detour.database import Database
from detour.discovery.mesh_file import read
from detour.envoy.busy import cannot_listen
from detour.envoy.listening import take_no_more
from detour.mesh import LOOPBACK, PRIVATE, Endpoint, EndpointRules
from detour.mesh.endpoint_rules import Network
from detour.offload.registry import Registry
from detour.server.api import api
from detour.server.control_plane import ControlPlane
from detour.server.followed_database import FollowedDatabase
from detour.server.identities import Identities, TokenBook
from detour.server.keyring import KeyRing
from detour.server.scenario_book import ScenarioBook
from detour.server.sources import MeshFile, Registered, Source
from detour.server.switch import DatabaseSwitch, FileSwitch, OverrideSwitch
from detour.server.webhook import webhook as webhook_app

if TYPE_CHECKING:
    from detour.server.cluster import Cluster
    from detour.server.installation import Installed


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses on which the server listens, each as `ip:port`; port 0 chooses a free port.

    Args:
        xds: For Envoys (gRPC).
        api: For people and programs (HTTP).
        webhook: For the cluster's API server (HTTPS); empty for none.
    """

    xds: str = "127.0.0.1:15010"
    api: str = "127.0.0.1:15020"
    webhook: str = ""


_ADDRESS = re.compile(r"(?P<host>[^:/]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})", re.ASCII)

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
    shutdown = shutdown or Shutdown()
    async with AsyncExitStack() as held:
        held.enter_context(_without_cancellation_tracebacks())
        listening = held.enter_context(_bind(addresses.api, "the API"))
        webhook = held.enter_context(_bind(addresses.webhook, "the webhook")) if addresses.webhook else None
        # gRPC would report a busy port in its own log lines, without the reason.
        _bind(addresses.xds, "xDS").close()
        kept = await asyncio.to_thread(_open, database, held) if database else None
        trusted = await held.enter_async_context(Issuer(issuer)) if issuer else None
        identities = Identities(await asyncio.to_thread(TokenBook, kept) if kept else None, trusted)
        rules = EndpointRules(_networks(addresses) if networks is None else tuple(networks))
        common = await _common(mesh_file, kept, rules)
        plane = await _connected(common, cluster, installed, state, held)
        http = _Http(_config(api(plane, identities), drain_seconds=shutdown.drain_seconds))
        running: list[asyncio.Task[None]] = []
        admission: list[_Http] = []

        async def begin() -> None:
            """Serve Envoys and the webhook once the mesh and the certificates are known."""
            credentials = None
            if cluster:
                await cluster.is_synced.wait()
                await plane.switch_is_known()
            if cluster and installed and installed.has_certificates:
                tls = await installed.serving()
                running.append(tasks.create_task(installed.follow_certificate()))
                credentials = tls.grpc_credentials() if installed.replica.tls else None
                if webhook:
                    app = webhook_app(installed.injection(await cluster.version()), installed.refusal)
                    admission.append(_Http(_config(app, tls.https, drain_seconds=shutdown.drain_seconds)))
                    tasks.create_task(admission[0].serve([webhook]))
            xds_port = await plane.ads.start(addresses.xds, credentials)
            plane.is_ready = True
            plane.listening.update(_own(bound := _bound(addresses, xds_port, listening, webhook)))
            ready(bound)

        try:
            async with asyncio.TaskGroup() as tasks:
                running.append(tasks.create_task(_shut_down_when_requested(shutdown, http, plane)))
                running += [tasks.create_task(plane.follow()), tasks.create_task(begin())]
                if installed:
                    running.append(tasks.create_task(installed.lead()))
                await http.serve([listening])
                for task in running:
                    task.cancel()
                for server in admission:
                    # Gracefully: a pod whose admission request is interrupted starts without a sidecar.
                    server.should_exit = True
        finally:
            await plane.ads.stop()
    _log.info("shut down; Envoys keep their configuration")


def _bound(
    addresses: Addresses, xds_port: int, listening: socket.socket, webhook: socket.socket | None
) -> Addresses:
    return Addresses(
        _with_port(addresses.xds, xds_port),
        _with_port(addresses.api, _port(listening)),
        _with_port(addresses.webhook, _port(webhook)) if webhook else "",
    )


def _own(bound: Addresses) -> Iterator[tuple[Endpoint, str]]:
    """Yield the server's listening addresses, and their purposes."""
    for address, what in (
        (bound.xds, "Detour's xDS server"),
        (bound.api, "Detour's API"),
        (bound.webhook, "Detour's webhook"),
    ):
        # The address of a host name is unknown here; the default ports are refused anyway.
        with suppress(ValueError):
            yield Endpoint.parse(address), what


def _networks(addresses: Addresses) -> tuple[Network, ...]:
    """Return the default networks of endpoints. Loopback differs per machine, so it needs local Envoys only."""
    host, _ = _host_and_port(addresses.xds, "xDS")
    with suppress(ValueError):
        if host == "localhost" or ip_address(host).is_loopback:
            return (*PRIVATE, *LOOPBACK)
    return PRIVATE


@dataclass(frozen=True, slots=True)
class _Common:
    """The parts that servers of every mode have.

    Args:
        files: The mesh file as a source; empty without one.
        database: The database; None without one.
        book: The scenarios; None without a database.
        keyring: The keys of override tokens; None without a database.
        rules: The networks where registered endpoints may be.
    """

    files: Sequence[Source]
    database: FollowedDatabase | None
    book: ScenarioBook | None
    keyring: KeyRing | None
    rules: EndpointRules


async def _common(mesh_file: Path | None, database: FollowedDatabase | None, rules: EndpointRules) -> _Common:
    files = [MeshFile(mesh_file, await asyncio.to_thread(read, mesh_file))] if mesh_file else []
    if database is None:
        return _Common(files, None, None, None, rules)
    book = await asyncio.to_thread(ScenarioBook, database)
    return _Common(files, database, book, await asyncio.to_thread(KeyRing, database), rules)


async def _connected(
    common: _Common,
    cluster: "Cluster | None",
    installed: "Installed | None",
    state: Path | None,
    held: AsyncExitStack,
) -> ControlPlane:
    if cluster is None:
        return await _standalone(common, state, held)
    return await (_in_cluster(common, cluster, installed) if installed else _beside_cluster(common, cluster))


async def _standalone(common: _Common, state: Path | None, held: AsyncExitStack) -> ControlPlane:
    """Return the control plane without a cluster: files store registered deployments and the kill switch."""
    if state is None:
        raise ValueError("neither a cluster nor a state file for deployments registered at run time was given")
    registered = Registered(held.enter_context(Registry(state)))
    switch_file = state.with_name(f"{state.name}.overrides")
    return ControlPlane(
        [*common.files, registered],
        registered,
        book=common.book,
        keyring=common.keyring,
        rules=common.rules,
        switch=await _database_switch(common) or await asyncio.to_thread(FileSwitch, switch_file),
    )


async def _beside_cluster(common: _Common, cluster: "Cluster") -> ControlPlane:
    """Return the control plane of a server outside its cluster: without certificates and a shared switch."""
    return ControlPlane(
        [*common.files, cluster],
        cluster,
        copies=cluster,
        naming=cluster.naming,
        book=common.book,
        keyring=common.keyring,
        rules=common.rules,
        switch=await _database_switch(common),
    )


async def _in_cluster(common: _Common, cluster: "Cluster", installed: "Installed") -> ControlPlane:
    """Return the control plane of a replica: certificates identify Envoys, and replicas share the switch."""
    return ControlPlane(
        [*common.files, cluster],
        cluster,
        copies=cluster,
        naming=cluster.naming,
        namespace_of=installed.namespace_of if installed.replica.tls else None,
        book=common.book,
        keyring=common.keyring,
        rules=common.rules,
        switch=await _database_switch(common) or installed.switch(),
    )


async def _database_switch(common: _Common) -> OverrideSwitch | None:
    """Return the switch that is stored in the database; None without a database."""
    return await asyncio.to_thread(DatabaseSwitch, common.database) if common.database else None


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


async def _shut_down_when_requested(shutdown: Shutdown, http: uvicorn.Server, plane: ControlPlane) -> None:
    await shutdown.requested.wait()
    await take_no_more(os.getpid(), _QUEUE_SECONDS)
    # Clients of event streams never end them, so the server does.
    plane.events.close()
    http.should_exit = True


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


def _bind(address: str, purpose: str) -> socket.socket:
    host, port = _host_and_port(address, purpose)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=1024)
        # Connections inherit it: the second part of a response must not wait for the first one's acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise cannot_listen(address, error, purpose=purpose) from error
    else:
        return listening


def _host_and_port(address: str, purpose: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match["port"]) >= 2**16:
        raise OSError(f"cannot listen on {address!r} for {purpose}: expected ip:port such as 127.0.0.1:15020")
    return match["host"].strip("[]"), int(match["port"])


def _port(listening: socket.socket) -> int:
    port: int = listening.getsockname()[1]
    return port


def _with_port(address: str, port: int) -> str:
    return f"{address.rpartition(':')[0]}:{port}"
