"""The state of the server, and of the Envoys that are connected to it."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from detour.contract.overrides import SwitchOut


class RejectionOut(BaseModel):
    """Resources that an Envoy rejected."""

    type: str
    names: list[str]
    message: str


class EnvoyOut(BaseModel):
    """A connected Envoy, and the resources that it holds."""

    node: str
    service: str
    role: str
    version: Annotated[
        str, Field(description="the version of Detour that wrote its configuration; empty before 0.1.0")
    ] = ""
    since: datetime
    sent_bytes: int
    pending: Annotated[int, Field(description="responses that it has neither acknowledged nor rejected yet")]
    acknowledged: Annotated[
        dict[str, dict[str, str]], Field(description="per type of resource, the names and versions that it holds")
    ]
    rejections: list[RejectionOut]


class MeshFileOut(BaseModel):
    """The mesh file, and the mistake in it if its last good version is in force."""

    path: str
    problem: str | None


class ClusterOut(BaseModel):
    """The cluster whose Services form the mesh, and its current problems."""

    namespaces: str
    problems: list[str]


class DepartureOut(BaseModel):
    """Requests with overrides from a service to a host outside the mesh, where overrides have no effect."""

    caller: str
    host: str
    overridden: Annotated[list[str], Field(description="the services that their overrides were for")]
    suspected: Annotated[
        str, Field(description="the overridden service that the host is probably another name of; may be empty")
    ]
    requests: int
    last: datetime


class GoneOut(BaseModel):
    """An Envoy that is no longer connected to this server."""

    node: str
    service: str
    since: datetime


class OpeningOut(BaseModel):
    """Requests that a sidecar sent past the mesh because the control plane did not answer."""

    service: str
    instance: Annotated[str, Field(description="the sidecar's node id")]
    began: datetime
    ended: Annotated[datetime, Field(description="when they were reported")]
    requests: int


class StatusOut(BaseModel):
    """The state of the server."""

    version: str
    mesh_file: MeshFileOut | None
    cluster: ClusterOut | None
    services: int
    deployments: int
    failures: Annotated[list[str], Field(description="current problems, one line each")]
    overrides: SwitchOut
    gone: Annotated[
        list[GoneOut], Field(description="Envoys that disconnected within the last hour and have not reconnected")
    ]
    openings: Annotated[
        list[OpeningOut], Field(description="sidecars that worked without a control plane within the last hour")
    ]
    envoys: list[EnvoyOut]
    departures: Annotated[
        list[DepartureOut], Field(description="requests with overrides that left the mesh within the last hour")
    ]


class HealthOut(BaseModel):
    """The server answers."""

    status: str = "ok"
