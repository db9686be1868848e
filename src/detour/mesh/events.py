"""The events that change a mesh, and the reducer that applies them.

Every source of a mesh (a file, Kubernetes, deployments registered at run time) reports its changes as these events.
Applying an event twice has the same result as applying it once, and removing what is absent changes nothing.
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
    """The service is new, or has changed; this is how it is now."""

    service: Service


@dataclass(frozen=True, slots=True)
class ServiceRemoved:
    """The service was removed; its offloaded deployments stay registered."""

    name: str


@dataclass(frozen=True, slots=True)
class DeploymentApplied:
    """The offloaded deployment is new, or has changed; this is how it is now."""

    deployment: OffloadedDeployment


@dataclass(frozen=True, slots=True)
class DeploymentRemoved:
    """The offloaded deployment was removed."""

    service: str
    name: str


@dataclass(frozen=True, slots=True)
class SettingsApplied:
    """The mesh's settings have changed to these."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class ScenariosApplied:
    """The scenarios have changed to these."""

    scenarios: Scenarios | None


@dataclass(frozen=True, slots=True)
class KeysApplied:
    """The keys of override tokens have changed to these."""

    keys: tuple[PublicKey, ...] | None


Event = (
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
        mesh: The mesh; the very object that was there before if nothing changed.
        events: What leads to it, at most one event for each service, deployment and value, and none without effect.
    """

    mesh: Mesh
    events: tuple[Event, ...]


def apply(mesh: Mesh, *events: Event) -> Mesh:
    """Return the mesh as it is after the events, in order."""
    return update(mesh, events).mesh


def update(mesh: Mesh, events: Iterable[Event]) -> Update:
    """Apply events in order, all of them in one pass; the cost depends on their number.

    The mappings that change are copied once for the whole batch.
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
    """What a batch of events says last of each service, deployment and value; None for what it removes."""

    def __init__(self, mesh: Mesh) -> None:
        self.services: dict[str, Service | None] = {}
        self.deployments: dict[tuple[str, str], OffloadedDeployment | None] = {}
        self.settings = mesh.settings
        self.scenarios = mesh.scenarios
        self.keys = mesh.keys

    def take(self, event: Event) -> None:
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


def difference(before: Mesh, after: Mesh) -> tuple[Event, ...]:
    """Return the events that lead from one mesh to another; the cost depends on the size of both."""
    services = _changes(before.services, after.services)
    return _events(before, after, services, _changes(before.deployments, after.deployments))


def _events(
    before: Mesh,
    after: Mesh,
    services: Mapping[str, Service | None],
    deployments: Mapping[tuple[str, str], OffloadedDeployment | None],
) -> tuple[Event, ...]:
    """Write changes as events, removals last and in order of name: every process writes them in the same order."""
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


def touched(events: Iterable[Event]) -> frozenset[str]:
    """Name the services that the events change; settings, scenarios and keys belong to none."""
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
    """Keep what differs from before."""
    return {key: value for key, value in said.items() if before.get(key) != value}


def _changes(before: Mapping[_Key, _Value], after: Mapping[_Key, _Value]) -> dict[_Key, _Value | None]:
    """Return what differs; None for what was removed."""
    removed: dict[_Key, _Value | None] = dict.fromkeys(before.keys() - after.keys())
    return removed | _net(before, after)


def _with(values: Mapping[_Key, _Value], changes: Mapping[_Key, _Value | None]) -> Mapping[_Key, _Value]:
    if not changes:
        return values
    # A proxy copies its dictionary as a whole; `dict(proxy)` would read it key by key, at 50 times the cost.
    made = values.copy() if isinstance(values, MappingProxyType) else dict(values)
    for key, value in changes.items():
        if value is None:
            del made[key]
        else:
            made[key] = value
    return MappingProxyType(made)
