"""The parts of a server in each of its modes: one function per mode.

A server stands alone, with a mesh file, or it reads a Kubernetes cluster, from outside or as an installed replica.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detour.discovery.mesh_file import read
from detour.mesh import EndpointRules
from detour.offload.registry import Registry
from detour.server.control_plane import ControlPlane
from detour.server.followed_database import FollowedDatabase
from detour.server.keyring import KeyRing
from detour.server.scenario_book import ScenarioBook
from detour.server.sources import MeshFile, Registered, Source
from detour.server.switch import DatabaseSwitch, FileSwitch, OverrideSwitch
from detour.xds.server import NamespaceOf

if TYPE_CHECKING:
    from detour.server.cluster import Cluster
    from detour.server.installation import Installed


@dataclass(frozen=True, slots=True)
class Common:
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


async def common_parts(mesh_file: Path | None, database: FollowedDatabase | None, rules: EndpointRules) -> Common:
    """Return the parts that do not depend on the mode.

    Raises:
        MeshFileError: The mesh file has a mistake.
        OSError: The database cannot be read.
    """
    files = [MeshFile(mesh_file, await asyncio.to_thread(read, mesh_file))] if mesh_file else []
    if database is None:
        return Common(files, None, None, None, rules)
    book = await asyncio.to_thread(ScenarioBook, database)
    return Common(files, database, book, await asyncio.to_thread(KeyRing, database), rules)


async def control_plane_of(
    common: Common,
    cluster: "Cluster | None",
    installed: "Installed | None",
    state: Path | None,
    held: AsyncExitStack,
) -> ControlPlane:
    """Return the control plane of a server.

    Args:
        common: The parts that do not depend on the mode.
        cluster: The cluster whose Services form the mesh; None without Kubernetes.
        installed: This replica, if the server is installed in that cluster.
        state: The file of deployments registered at run time; required without a cluster.
        held: Closes what is opened here.
    """
    if cluster is None:
        return await _standalone(common, state, held)
    return await (_in_cluster(common, cluster, installed) if installed else _beside_cluster(common, cluster))


async def _standalone(common: Common, state: Path | None, held: AsyncExitStack) -> ControlPlane:
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


async def _beside_cluster(common: Common, cluster: "Cluster") -> ControlPlane:
    """Return the control plane of a server outside its cluster: without certificates and a shared switch."""
    return _of_cluster(common, cluster, switch=await _database_switch(common))


async def _in_cluster(common: Common, cluster: "Cluster", installed: "Installed") -> ControlPlane:
    """Return the control plane of a replica: certificates identify Envoys, and replicas share the switch."""
    return _of_cluster(
        common,
        cluster,
        switch=await _database_switch(common) or installed.switch(),
        namespace_of=installed.namespace_of if installed.replica.tls else None,
    )


def _of_cluster(
    common: Common,
    cluster: "Cluster",
    *,
    switch: OverrideSwitch | None,
    namespace_of: NamespaceOf | None = None,
) -> ControlPlane:
    return ControlPlane(
        [*common.files, cluster],
        cluster,
        copies=cluster,
        naming=cluster.naming,
        service_of=cluster.service_of,
        namespace_of=namespace_of,
        book=common.book,
        keyring=common.keyring,
        rules=common.rules,
        switch=switch,
    )


async def _database_switch(common: Common) -> OverrideSwitch | None:
    """Return the switch that is stored in the database; None without a database."""
    return await asyncio.to_thread(DatabaseSwitch, common.database) if common.database else None
