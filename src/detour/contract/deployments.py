"""Services, and their offloaded deployments."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, Field

from detour.contract import patterns
from detour.contract.fields import DEFAULT_TTL, EndpointText, Name, Owner, Ttl
from detour.contract.pages import Page
from detour.mesh import Protocol

_VARIABLE: Final = "^[-._a-zA-Z][-._a-zA-Z0-9]*$"
_VARIABLE_MAX: Final = 253
_VariableName = Annotated[str, Field(pattern=_VARIABLE, max_length=_VARIABLE_MAX)]


class DeploymentIn(BaseModel, extra="forbid"):
    """An offloaded deployment to register."""

    service: Name
    name: Name
    endpoints: Annotated[
        list[EndpointText], Field(description="`ip:port` of each instance; may be empty", max_length=1000)
    ]
    owner: Owner = ""
    ttl: Ttl = DEFAULT_TTL


class CopyIn(BaseModel, extra="forbid"):
    """An offloaded deployment to create in the cluster: a copy of the live baseline with another image."""

    service: Name
    name: Name
    image: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$")]
    owner: Owner = ""
    ttl: Ttl = DEFAULT_TTL
    commit: Annotated[str, Field(max_length=200, description="the commit that the image was built from")] = ""
    env: Annotated[
        dict[_VariableName, str],
        Field(
            description="environment variables to add to the baseline's, or to replace there",
            max_length=1000,
            json_schema_extra=patterns.mapping_by(_VARIABLE, longest=_VARIABLE_MAX),
        ),
    ] = {}
    replicas: Annotated[int, Field(ge=1, le=100)] = 1
    command: Annotated[
        str, Field(max_length=10_000, description="command and arguments, split as a shell would split them")
    ] = ""
    pull_secret: Annotated[str, Field(max_length=253)] = ""
    container: Annotated[str, Field(max_length=63, description="the container that runs the image")] = ""
    baseline: Annotated[
        str,
        Field(
            max_length=300,
            description="the workload to copy, `NAME` or `KIND/NAME`; by default the one whose pods serve",
        ),
    ] = ""
    keep: Annotated[bool, Field(description="keep the copy if it does not become Ready")] = False


class ExtensionIn(BaseModel, extra="forbid"):
    """A new expiry of a deployment."""

    ttl: Ttl
    owner: Annotated[
        Owner | None,
        Field(description="for admins: act as this user, so that deployments of other owners are refused"),
    ] = None


class ProgressState(StrEnum):
    """Whether a copy serves requests."""

    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"


class ProgressOut(BaseModel):
    """The progress of a copy in the cluster."""

    state: ProgressState
    ready: int
    wanted: int
    step: Annotated[str, Field(description="the current step, or what went wrong")]
    events: Annotated[list[str], Field(description="the events that Kubernetes reports for it")]
    log: Annotated[list[str], Field(description="the last lines of a container that failed")]


class UndoneOut(BaseModel):
    """What the server did to undo a change."""

    what: str


class DeploymentOut(BaseModel):
    """An offloaded deployment of the mesh."""

    service: str
    name: str
    endpoints: list[str]
    owner: str
    expires: datetime | None
    source: Annotated[str, Field(description="`mesh file`, `registered` or `cluster`")]
    is_writable: Annotated[bool, Field(description="whether the API can change and remove it")] = True
    warnings: Annotated[
        list[str],
        Field(description="which calls to the service overrides do not affect, and what to do, a line each"),
    ] = []


class CopyOut(DeploymentOut):
    """A copy that was created, and what its owner should know about it."""

    notes: Annotated[list[str], Field(description="what the copy shares or cannot avoid, a line each")] = []


class DeploymentListOut(Page[DeploymentOut]):
    """Offloaded deployments, by name: `users@pr-42`."""


class DeploymentDetailOut(DeploymentOut):
    """An offloaded deployment, and the progress of its copy."""

    progress: ProgressOut | None


class ServiceOut(BaseModel):
    """A service of the mesh."""

    name: str
    protocol: Protocol
    endpoints: list[str]
    deployments: list[str]
    overridable: Annotated[bool, Field(description="whether overrides can affect calls to it")] = True
    warning: Annotated[
        str,
        Field(description="which calls to it overrides do not affect, and what to do; empty if they affect all"),
    ] = ""


class ServiceListOut(Page[ServiceOut]):
    """Services of the mesh, by name."""
