"""The events that change a mesh, and the reducer that applies them.

Every source of a mesh (a file, Kubernetes, deployments registered at run time) speaks in these events.
Applying one twice is the same as applying it once, and removing what is not there changes nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from detour.mesh.model import Mesh, OffloadedDeployment, Scenarios, Service, Settings
from detour.mesh.override_tokens import PublicKey

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class ServiceApplied:
    """The service is new, or is as given from here on."""

    service: Service


@dataclass(frozen=True, slots=True)
class ServiceRemoved:
    """The service is gone; its offloaded deployments stay registered."""

    name: str


@dataclass(frozen=True, slots=True)
class DeploymentApplied:
    """The offloaded deployment is new, or is as given from here on."""

    deployment: OffloadedDeployment


@dataclass(frozen=True, slots=True)
class DeploymentRemoved:
    """The offloaded deployment is gone."""

    service: str
    name: str


@dataclass(frozen=True, slots=True)
class SettingsApplied:
    """The mesh's settings are as given from here on."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class ScenariosApplied:
    """The scenarios are as given from here on."""

    scenarios: Scenarios | None


@dataclass(frozen=True, slots=True)
class KeysApplied:
    """The keys of tokens are as given from here on."""

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


def apply(mesh: Mesh, *events: Event) -> Mesh:
    """Return the mesh as it is after the events, in order."""
    for event in events:
        mesh = _apply(mesh, event)
    return mesh


def _apply(mesh: Mesh, event: Event) -> Mesh:
    match event:
        case ServiceApplied(service):
            return replace(mesh, services=_with(mesh.services, service.name, service))
        case ServiceRemoved(name):
            return replace(mesh, services=_without(mesh.services, name))
        case DeploymentApplied(deployment):
            return replace(mesh, deployments=_with(mesh.deployments, deployment.key, deployment))
        case DeploymentRemoved(service, name):
            return replace(mesh, deployments=_without(mesh.deployments, (service, name)))
    return _apply_values(mesh, event)


def _apply_values(mesh: Mesh, event: SettingsApplied | ScenariosApplied | KeysApplied) -> Mesh:
    match event:
        case SettingsApplied(settings):
            return replace(mesh, settings=settings)
        case ScenariosApplied(scenarios):
            return replace(mesh, scenarios=scenarios)
    return replace(mesh, keys=event.keys)


def difference(before: Mesh, after: Mesh) -> tuple[Event, ...]:
    """Say which events lead from one mesh to another."""
    settings = [SettingsApplied(after.settings)] if before.settings != after.settings else []
    scenarios = [ScenariosApplied(after.scenarios)] if before.scenarios != after.scenarios else []
    keys = [KeysApplied(after.keys)] if before.keys != after.keys else []
    return (
        *settings,
        *scenarios,
        *keys,
        *(ServiceApplied(service) for service in _changed(before.services, after.services)),
        *(DeploymentApplied(one) for one in _changed(before.deployments, after.deployments)),
        *(DeploymentRemoved(*key) for key in sorted(before.deployments.keys() - after.deployments.keys())),
        *(ServiceRemoved(name) for name in sorted(before.services.keys() - after.services.keys())),
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


def _with(values: Mapping[_Key, _Value], key: _Key, value: _Value) -> Mapping[_Key, _Value]:
    return MappingProxyType({**values, key: value})


def _without(values: Mapping[_Key, _Value], key: _Key) -> Mapping[_Key, _Value]:
    return MappingProxyType({name: value for name, value in values.items() if name != key})


def _changed(before: Mapping[_Key, _Value], after: Mapping[_Key, _Value]) -> list[_Value]:
    return [value for key, value in after.items() if before.get(key) != value]
