"""The events that change a mesh, and the reducer that applies them.

Every source of a mesh (a file, Kubernetes, deployments registered at run time) reports its changes as these events.
Applying an event twice has the same result as applying it once. Removing something that does not exist has no
effect.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from detour.mesh.model import Mesh, OffloadedDeployment, Scenarios, Service, Settings
from detour.mesh.override_tokens import PublicKey

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class ServiceApplied:
    """A service is new or has changed; this is its new state."""

    service: Service


@dataclass(frozen=True, slots=True)
class ServiceRemoved:
    """The service was removed; its offloaded deployments stay registered."""

    name: str


@dataclass(frozen=True, slots=True)
class DeploymentApplied:
    """An offloaded deployment is new or has changed; this is its new state."""

    deployment: OffloadedDeployment


@dataclass(frozen=True, slots=True)
class DeploymentRemoved:
    """The offloaded deployment was removed."""

    service: str
    name: str


@dataclass(frozen=True, slots=True)
class SettingsApplied:
    """The mesh's settings changed; these are the new ones."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class ScenariosApplied:
    """The scenarios changed; these are the new ones."""

    scenarios: Scenarios | None


@dataclass(frozen=True, slots=True)
class KeysApplied:
    """The keys of override tokens changed; these are the new ones."""

    keys: tuple[PublicKey, ...] | None


MeshEvent = (
    ServiceApplied
    | ServiceRemoved
    | DeploymentApplied
    | DeploymentRemoved
    | SettingsApplied
    | ScenariosApplied
    | KeysApplied
)


class Update(NamedTuple):
    """A mesh after some events.

    Args:
        mesh: The mesh; the same object as before if nothing changed.
        events: The effective changes: at most one event for each service, deployment and value.
    """

    mesh: Mesh
    events: tuple[MeshEvent, ...]


def apply(mesh: Mesh, *events: MeshEvent) -> Mesh:
    """Return the mesh after the events, applied in order."""
    return update(mesh, events).mesh


def update(mesh: Mesh, events: Iterable[MeshEvent]) -> Update:
    """Apply events in order, in a single pass. The cost depends on their number.

    Mappings that change are copied once for the whole batch.
    """
    draft = _Draft(mesh)
    for event in events:
        draft.take(event)
    services, deployments = _net(mesh.services, draft.services), _net(mesh.deployments, draft.deployments)
    after = Mesh(
        _with(mesh.services, services),
        _with(mesh.deployments, deployments),
        draft.settings,
        draft.scenarios,
        draft.keys,
    )
    effective = _events(mesh, after, services, deployments)
    return Update(after if effective else mesh, effective)


class _Draft:
    """The final state of each service, deployment and value in a batch of events; None for removed ones."""

    def __init__(self, mesh: Mesh) -> None:
        self.services: dict[str, Service | None] = {}
        self.deployments: dict[tuple[str, str], OffloadedDeployment | None] = {}
        self.settings = mesh.settings
        self.scenarios = mesh.scenarios
        self.keys = mesh.keys

    def take(self, event: MeshEvent) -> None:
        match event:
            case ServiceApplied(service):
                self.services[service.name] = service
            case ServiceRemoved(name):
                self.services[name] = None
            case DeploymentApplied(deployment):
                self.deployments[deployment.key] = deployment
            case DeploymentRemoved(service_name, name):
                self.deployments[service_name, name] = None
            case _:
                self._take_value(event)

    def _take_value(self, event: SettingsApplied | ScenariosApplied | KeysApplied) -> None:
        match event:
            case SettingsApplied(settings):
                self.settings = settings
            case ScenariosApplied(scenarios):
                self.scenarios = scenarios
            case _:
                self.keys = event.keys


def difference(before: Mesh, after: Mesh) -> tuple[MeshEvent, ...]:
    """Return the events that lead from one mesh to another. The cost depends on the size of both."""
    services = _changes(before.services, after.services)
    return _events(before, after, services, _changes(before.deployments, after.deployments))


def _events(
    before: Mesh,
    after: Mesh,
    services: Mapping[str, Service | None],
    deployments: Mapping[tuple[str, str], OffloadedDeployment | None],
) -> tuple[MeshEvent, ...]:
    """Return changes as events: removals last, sorted by name, so that every process uses the same order."""
    settings = [SettingsApplied(after.settings)] if before.settings != after.settings else []
    scenarios = [ScenariosApplied(after.scenarios)] if before.scenarios != after.scenarios else []
    keys = [KeysApplied(after.keys)] if before.keys != after.keys else []
    return (
        *settings,
        *scenarios,
        *keys,
        *(ServiceApplied(service) for service in services.values() if service),
        *(DeploymentApplied(deployment) for deployment in deployments.values() if deployment),
        *(DeploymentRemoved(*key) for key in sorted(key for key, one in deployments.items() if one is None)),
        *(ServiceRemoved(name) for name in sorted(name for name, service in services.items() if service is None)),
    )


def touched(events: Iterable[MeshEvent]) -> frozenset[str]:
    """Return the services that the events change. Settings, scenarios and keys belong to no service."""
    names = set()
    for event in events:
        match event:
            case ServiceApplied(service):
                names.add(service.name)
            case ServiceRemoved(name):
                names.add(name)
            case DeploymentApplied(deployment):
                names.add(deployment.service)
            case DeploymentRemoved(service, _):
                names.add(service)
    return frozenset(names)


def _net(before: Mapping[_Key, _Value], said: Mapping[_Key, _Value | None]) -> dict[_Key, _Value | None]:
    """Return the values that differ from before."""
    return {key: value for key, value in said.items() if before.get(key) != value}


def _changes(before: Mapping[_Key, _Value], after: Mapping[_Key, _Value]) -> dict[_Key, _Value | None]:
    """Return the differences; None for removed values."""
    removed: dict[_Key, _Value | None] = dict.fromkeys(before.keys() - after.keys())
    return removed | _net(before, after)


def _with(values: Mapping[_Key, _Value], changes: Mapping[_Key, _Value | None]) -> Mapping[_Key, _Value]:
    if not changes:
        return values
    # Copying through the proxy copies its dictionary at once; `dict(proxy)` would read it key by key, 50 times
    # slower.
    made = values.copy() if isinstance(values, MappingProxyType) else dict(values)
    for key, value in changes.items():
        if value is None:
            del made[key]
        else:
            made[key] = value
    return MappingProxyType(made)
