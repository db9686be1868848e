"""Running the server: its sockets, its tasks, and an end in good order.

Invariant: both addresses are bound before anything is served, so a busy port is an error at the start.
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
from detour.server.switch import LoggedSwitch, OverrideSwitch, SwitchFile
from detour.server.webhook import webhook as webhook_app

if TYPE_CHECKING:
    from detour.server.cluster import Cluster
    from detour.server.installation import Installed


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the server listens, each as `ip:port`; port 0 takes a free one.

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
"""The longest to wait, at the end, for connections that have not been accepted yet."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the server is asked to end, from outside.

    Args:
        asked: Once it is set, no more connections are taken, and what is being answered is answered.
        drain_seconds: The longest that this may last.
    """

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    drain_seconds: float = _DRAIN_SECONDS


class _Http(uvicorn.Server):
    """Uvicorn without signal handlers: other parts of this process have to end in good order, too."""

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
    ending: Ending | None = None,
    networks: Sequence[Network] | None = None,
) -> None:
    """Serve until asked to end.

    Streams of events then end at once, requests when they are answered; the streams of Envoys are closed last, so
    that they go to another server.

    Args:
        mesh_file: Read now, and again whenever it changes; none is needed beside a cluster.
        state: The database of deployments registered at run time, made if it is missing; none beside a cluster.
        addresses: Where to listen.
        database: The URL of the database of scenarios, as `Database` takes it; empty for none.
        issuer: Whom people sign in with; without one, programs of this machine need not.
        ready: Called with the addresses in use once everything is served.
        cluster: The Kubernetes cluster whose Services make the mesh.
        installed: Who this server is among the replicas there.
        ending: How it is asked to end; without it, it serves until it is cancelled.
        networks: Where registered endpoints may be; by default in private networks, and on loopback where only this
            machine's Envoys reach the server.

    Raises:
        MeshFileError: The mesh file has a mistake.
        OSError: An address can't be had, or the state or the database can't be opened.
        ValueError: The database's URL, or the issuer's, is none.
    """
    ending = ending or Ending()
    async with AsyncExitStack() as held:
        held.enter_context(_without_stacks_of_the_end())
        listening = held.enter_context(_bind(addresses.api, "the API"))
        webhook = held.enter_context(_bind(addresses.webhook, "the webhook")) if addresses.webhook else None
        # gRPC tells of a busy port in lines of its own, and not the reason.
        _bind(addresses.xds, "xDS").close()
        kept = await asyncio.to_thread(_open, database, held) if database else None
        trusted = await held.enter_async_context(Issuer(issuer)) if issuer else None
        identities = Identities(await asyncio.to_thread(TokenBook, kept) if kept else None, trusted)
        rules = EndpointRules(_networks(addresses) if networks is None else tuple(networks))
        common = await _common(mesh_file, kept, rules)
        if cluster is None:
            plane = await _standalone(common, state, held)
        else:
            plane = await (
                _in_cluster(common, cluster, installed) if installed else _beside_cluster(common, cluster)
            )
        http = _Http(_config(api(plane, identities), drain_seconds=ending.drain_seconds))
        running: list[asyncio.Task[None]] = []
        admission: list[_Http] = []

        async def begin() -> None:
            """Serve Envoys and pods once there is something to tell them, and a certificate to show."""
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
                    admission.append(_Http(_config(app, tls.https, drain_seconds=ending.drain_seconds)))
                    tasks.create_task(admission[0].serve([webhook]))
            xds_port = await plane.ads.start(addresses.xds, credentials)
            plane.is_ready = True
            plane.listening.update(_own(bound := _bound(addresses, xds_port, listening, webhook)))
            ready(bound)

        try:
            async with asyncio.TaskGroup() as tasks:
                running.append(tasks.create_task(_end_when_asked(ending, http, plane)))
                running += [tasks.create_task(plane.follow()), tasks.create_task(begin())]
                if installed:
                    running.append(tasks.create_task(installed.lead()))
                await http.serve([listening])
                for task in running:
                    task.cancel()
                for server in admission:
                    # In good order: a pod whose admission is cut off starts without a sidecar.
                    server.should_exit = True
        finally:
            await plane.ads.stop()
    _log.info("ended; Envoys keep what they have been told")


def _bound(
    addresses: Addresses, xds_port: int, listening: socket.socket, webhook: socket.socket | None
) -> Addresses:
    return Addresses(
        _with_port(addresses.xds, xds_port),
        _with_port(addresses.api, _port(listening)),
        _with_port(addresses.webhook, _port(webhook)) if webhook else "",
    )


def _own(bound: Addresses) -> Iterator[tuple[Endpoint, str]]:
    """Yield where the server listens, and for what."""
    for address, what in (
        (bound.xds, "where Detour's server serves Envoys"),
        (bound.api, "Detour's API"),
        (bound.webhook, "Detour's webhook"),
    ):
        # The address of a host name is unknown here; the default ports are refused anyway.
        with suppress(ValueError):
            yield Endpoint.parse(address), what


def _networks(addresses: Addresses) -> tuple[Network, ...]:
    """Return where endpoints may be by default: loopback is each Envoy's own machine's."""
    host, _ = _host_and_port(addresses.xds, "xDS")
    with suppress(ValueError):
        if host == "localhost" or ip_address(host).is_loopback:
            return (*PRIVATE, *LOOPBACK)
    return PRIVATE


@dataclass(frozen=True, slots=True)
class _Common:
    """What servers of every mode are made of.

    Args:
        files: The mesh file as a source, if there is one.
        database: The database, if there is one; the scenarios and the keys are in it.
        rules: Where registered endpoints may be.
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
    """Connect a server without a cluster: registered deployments and the switch are kept beside each other."""
    if state is None:
        raise ValueError("there is no cluster, and no state for deployments registered at run time")
    registered = Registered(held.enter_context(Registry(state)))
    beside = state.with_name(f"{state.name}.overrides")
    return ControlPlane(
        [*common.files, registered],
        registered,
        book=common.book,
        keyring=common.keyring,
        rules=common.rules,
        switch=await _logged_switch(common) or await asyncio.to_thread(SwitchFile, beside),
    )


async def _beside_cluster(common: _Common, cluster: "Cluster") -> ControlPlane:
    """Connect a server that uses a cluster and is not installed there: callers are believed, nothing is shared."""
    return ControlPlane(
        [*common.files, cluster],
        cluster,
        copies=cluster,
        naming=cluster.naming,
        book=common.book,
        keyring=common.keyring,
        rules=common.rules,
        switch=await _logged_switch(common),
    )


async def _in_cluster(common: _Common, cluster: "Cluster", installed: "Installed") -> ControlPlane:
    """Connect a replica in a cluster: certificates say who a caller is, and replicas share the switch."""
    return ControlPlane(
        [*common.files, cluster],
        cluster,
        copies=cluster,
        naming=cluster.naming,
        namespace_of=installed.namespace_of if installed.replica.tls else None,
        book=common.book,
        keyring=common.keyring,
        rules=common.rules,
        switch=await _logged_switch(common) or installed.switch(),
    )


async def _logged_switch(common: _Common) -> OverrideSwitch | None:
    """Return the switch that a database keeps; None without one."""
    return await asyncio.to_thread(LoggedSwitch, common.database) if common.database else None


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


async def _end_when_asked(ending: Ending, http: uvicorn.Server, plane: ControlPlane) -> None:
    await ending.asked.wait()
    await take_no_more(os.getpid(), _QUEUE_SECONDS)
    # Their clients listen for as long as they can.
    plane.events.close()
    http.should_exit = True


@contextmanager
def _without_stacks_of_the_end() -> Iterator[None]:
    """Log no stack of a request that is broken off when the server ends: nothing is wrong with it."""

    def is_of_interest(record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if record.exc_info else None
        return kind is None or not issubclass(kind, asyncio.CancelledError)

    log = logging.getLogger("uvicorn.error")
    log.addFilter(is_of_interest)
    try:
        yield
    finally:
        log.removeFilter(is_of_interest)


def _bind(address: str, purpose: str) -> socket.socket:
    host, port = _host_and_port(address, purpose)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=1024)
        # Connections inherit it: an answer in two parts must not wait for the first part's acknowledgement.
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
