"""Conversions between the API's models and the server's values.

The models themselves are in `detour.contract`, which the client shares.
"""

from datetime import UTC, datetime

from detour.contract import (
    CallOut,
    CopyIn,
    DeploymentIn,
    DeploymentOut,
    ScenarioIn,
    ScenarioOut,
    ScenarioState,
    ServiceOut,
    SwitchOut,
    SwitchState,
    collected,
)
from detour.mesh import Endpoint, Mesh, OffloadedDeployment, Service, checking, parse_duration
from detour.offload.kubernetes.copying import Wanted
from detour.overrides import PREFIX, append_to_baggage
from detour.scenarios import Draft, Scenario
from detour.server.sources import Source
from detour.server.switch import SwitchPosition
from detour.traffic.calls import Seen


def deployment_of(body: DeploymentIn, owner: str) -> OffloadedDeployment:
    """Return the deployment to register; its time to live starts now."""
    return OffloadedDeployment(
        service=body.service,
        name=body.name,
        endpoints=tuple(Endpoint.parse(text) for text in body.endpoints),
        owner=owner,
        expires=datetime.now(UTC) + parse_duration(body.ttl),
    )


def wanted_of(body: CopyIn, owner: str) -> Wanted:
    """Return the copy to create; its time to live starts now."""
    expires = datetime.now(UTC) + parse_duration(body.ttl)
    return Wanted(roll="", owner=owner, expires=expires, **body.model_dump(exclude={"ttl", "owner"}))


def service_out(service: Service, deployments: list[str]) -> ServiceOut:
    """Return a service with the names of its deployments."""
    return ServiceOut(
        name=service.name,
        protocol=service.protocol,
        endpoints=_texts(service.endpoints),
        deployments=deployments,
        overridable=not service.is_unread,
        warning=service.override_warning,
    )


def deployment_out(deployment: OffloadedDeployment, source: Source | None, mesh: Mesh) -> DeploymentOut:
    """Return a deployment of a mesh with what its source says about it; None if no source has it."""
    service = mesh.services.get(deployment.service)
    return DeploymentOut(
        service=deployment.service,
        name=deployment.name,
        endpoints=_texts(deployment.endpoints),
        owner=deployment.owner,
        expires=deployment.expires,
        source=source.name if source else "",
        is_writable=source is not None and source.is_writable,
        warnings=[service.override_warning] if service and service.override_warning else [],
    )


def draft_of(body: ScenarioIn, owner: str) -> Draft:
    """Return the draft of a scenario; `owner` owns it unless the body says otherwise."""
    overrides = collected(body.overrides)
    return Draft(overrides, owner if body.owner is None else body.owner, body.description, body.expires)


def scenario_out(scenario: Scenario, mesh: Mesh) -> ScenarioOut:
    """Return a scenario, with its state now, and its links and warnings in a mesh."""
    settings = mesh.settings
    return ScenarioOut(
        name=scenario.name,
        version=scenario.version,
        overrides={one.key.removeprefix(PREFIX): one.value for one in scenario.overrides},
        baggage=append_to_baggage(None, scenario.overrides),
        links=list(settings.links(scenario.name)),
        only_host=settings.only_host_of_links,
        owner=scenario.owner,
        description=scenario.description,
        expires=scenario.expires,
        state=ScenarioState(scenario.state(datetime.now(UTC))),
        changed=scenario.changed,
        changed_by=scenario.changed_by,
        warnings=list(checking.explained(checking.limits(scenario.overrides, mesh))),
    )


def switch_out(position: SwitchPosition) -> SwitchOut:
    """Return the state of the kill switch."""
    state = SwitchState.OFF if position.is_off else SwitchState.ON
    return SwitchOut(state=state, reason=position.reason, by=position.by, since=position.at)


def call_out(seen: Seen) -> CallOut:
    """Return a call with its counts."""
    last = datetime.fromtimestamp(seen.last, UTC)
    return CallOut(**seen.call._asdict(), requests=seen.requests, errors=seen.errors, last=last)


def _texts(endpoints: tuple[Endpoint, ...]) -> list[str]:
    return [str(endpoint) for endpoint in endpoints]
