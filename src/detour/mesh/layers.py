"""Merges the meshes of several sources into one.

Invariant: of two values with one name, the earlier mesh's wins. Settings are those of the first mesh.
"""

from collections.abc import Iterable, Iterator, Sequence
from types import MappingProxyType

from detour.mesh.events import (
    DeploymentApplied,
    DeploymentRemoved,
    MeshEvent,
    ServiceApplied,
    ServiceRemoved,
    SettingsApplied,
)
from detour.mesh.model import Mesh, OffloadedDeployment, Service


def merge(first: Mesh, *others: Mesh) -> Mesh:
    """Merge meshes. The cost depends on their size."""
    services: dict[str, Service] = {}
    deployments: dict[tuple[str, str], OffloadedDeployment] = {}
    for mesh in reversed((first, *others)):
        services.update(mesh.services)
        deployments.update(mesh.deployments)
    return Mesh(MappingProxyType(services), MappingProxyType(deployments), first.settings)


def merged_events(meshes: Sequence[Mesh], events: Iterable[MeshEvent]) -> Iterator[MeshEvent]:
    """Translate the events of one mesh into events of the merged mesh.

    The cost depends on the number of events. Scenarios and keys belong to no source and are omitted.

    Args:
        meshes: All meshes after the events, the one with the highest precedence first.
        events: The changes of one of them.
    """
    for event in events:
        match event:
            case ServiceApplied(service):
                yield _service(meshes, service.name)
            case ServiceRemoved(name):
                yield _service(meshes, name)
            case DeploymentApplied(deployment):
                yield _deployment(meshes, *deployment.key)
            case DeploymentRemoved(service_name, name):
                yield _deployment(meshes, service_name, name)
            case SettingsApplied():
                yield SettingsApplied(meshes[0].settings)


def _service(meshes: Sequence[Mesh], name: str) -> ServiceApplied | ServiceRemoved:
    found = next((mesh.services[name] for mesh in meshes if name in mesh.services), None)
    return ServiceApplied(found) if found else ServiceRemoved(name)


def _deployment(meshes: Sequence[Mesh], service: str, name: str) -> DeploymentApplied | DeploymentRemoved:
    found = next((one for mesh in meshes if (one := mesh.deployment(service, name))), None)
    return DeploymentApplied(found) if found else DeploymentRemoved(service, name)
