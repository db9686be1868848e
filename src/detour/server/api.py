"""The HTTP API, version 1.

Invariant: a thin adapter over `ControlPlane`. Every error is problem details (RFC 9457) that says what to do.
"""

import sqlite3
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI, Request, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, Field

from detour import __version__
from detour.mesh import Endpoint, OffloadedDeployment, Protocol, is_name, parse_duration
from detour.offload.registry import OwnedByAnotherError
from detour.server.control_plane import ControlPlane, DeploymentConflictError, UnknownServiceError
from detour.xds.server import Connection

_DEFAULT_TTL = "24h"


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"{text!r} is not a name: letters, digits, dot, dash and underscore, at most 63")
    return text


Name = Annotated[str, AfterValidator(_name)]


class DeploymentIn(BaseModel, extra="forbid"):
    """An offloaded deployment to register."""

    service: Name
    name: Name
    endpoints: Annotated[list[str], Field(description="`ip:port` of each instance; none yet is allowed")]
    owner: str = ""
    ttl: Annotated[str, Field(description="how long it lives: 30m, 24h, 7d")] = _DEFAULT_TTL

    def deployment(self) -> OffloadedDeployment:
        """Return the value that it stands for.

        Raises:
            ValueError: An endpoint or the time to live can't be read.
        """
        return OffloadedDeployment(
            service=self.service,
            name=self.name,
            endpoints=tuple(Endpoint.parse(text) for text in self.endpoints),
            owner=self.owner,
            expires=datetime.now(UTC) + parse_duration(self.ttl),
        )


class DeploymentOut(BaseModel):
    """An offloaded deployment as the mesh has it."""

    service: str
    name: str
    endpoints: list[str]
    owner: str
    expires: datetime | None
    source: str


class ServiceOut(BaseModel):
    """A service of the mesh."""

    name: str
    protocol: Protocol
    endpoints: list[str]
    deployments: list[str]


class RejectionOut(BaseModel):
    """Resources that an Envoy refused."""

    type: str
    names: list[str]
    message: str


class EnvoyOut(BaseModel):
    """An Envoy that is connected, and what it holds."""

    node: str
    service: str
    role: str
    since: datetime
    sent_bytes: int
    pending: int
    acknowledged: dict[str, dict[str, str]]
    rejections: list[RejectionOut]


class MeshFileOut(BaseModel):
    """The mesh file, and what is wrong with it since the last good one."""

    path: str
    problem: str | None


class StatusOut(BaseModel):
    """The whole of what the server knows about itself."""

    version: str
    mesh_file: MeshFileOut
    services: int
    deployments: int
    failures: list[str]
    envoys: list[EnvoyOut]


def api(plane: ControlPlane) -> FastAPI:
    """Return the API of a control plane."""
    app = FastAPI(title="Detour", version=__version__)
    _add_problems(app)
    _add_mesh(app, plane)
    _add_deployments(app, plane)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Say that the server runs."""
        return {"status": "ok"}

    @app.get("/v1/status")
    async def read_status() -> StatusOut:
        """Say what is connected, what each Envoy has acknowledged, and what it refused."""
        return _status(plane)

    return app


def _add_mesh(app: FastAPI, plane: ControlPlane) -> None:
    @app.get("/v1/services")
    async def services() -> list[ServiceOut]:
        """List the services of the mesh."""
        return [
            ServiceOut(
                name=service.name,
                protocol=service.protocol,
                endpoints=_texts(service.endpoints),
                deployments=sorted(name for of, name in plane.mesh.deployments if of == service.name),
            )
            for service in sorted(plane.mesh.services.values(), key=lambda service: service.name)
        ]


def _add_deployments(app: FastAPI, plane: ControlPlane) -> None:
    @app.get("/v1/deployments")
    async def deployments() -> list[DeploymentOut]:
        """List the offloaded deployments."""
        return [_deployment(plane, one) for _, one in sorted(plane.mesh.deployments.items())]

    @app.post("/v1/deployments", status_code=status.HTTP_201_CREATED)
    async def register(body: DeploymentIn) -> DeploymentOut:
        """Register an offloaded deployment, or replace one's own."""
        deployment = body.deployment()
        await plane.register(deployment)
        return _deployment(plane, deployment)

    @app.delete("/v1/deployments/{service}/{name}", status_code=status.HTTP_204_NO_CONTENT)
    async def remove(service: str, name: str) -> None:
        """Remove an offloaded deployment that was registered at run time."""
        if not await plane.remove(service, name):
            raise UnknownServiceError(
                f"nobody registered {service}@{name}; GET /v1/deployments lists what there is"
            )


def _add_problems(app: FastAPI) -> None:
    statuses: dict[type[Exception], HTTPStatus] = {
        UnknownServiceError: HTTPStatus.NOT_FOUND,
        DeploymentConflictError: HTTPStatus.CONFLICT,
        OwnedByAnotherError: HTTPStatus.CONFLICT,
        ValueError: HTTPStatus.UNPROCESSABLE_ENTITY,
        sqlite3.Error: HTTPStatus.INTERNAL_SERVER_ERROR,
    }
    for kind, code in statuses.items():

        @app.exception_handler(kind)
        async def problem(_request: Request, error: Exception, code: HTTPStatus = code) -> JSONResponse:
            return _problem(code, str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        lines = (f"{'.'.join(str(part) for part in one['loc'][1:])}: {one['msg']}" for one in error.errors())
        return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(lines))


def _problem(code: HTTPStatus, detail: str) -> JSONResponse:
    content = {"type": "about:blank", "title": code.phrase, "status": code.value, "detail": detail}
    return JSONResponse(content, status_code=code, media_type="application/problem+json")


def _deployment(plane: ControlPlane, deployment: OffloadedDeployment) -> DeploymentOut:
    return DeploymentOut(
        service=deployment.service,
        name=deployment.name,
        endpoints=_texts(deployment.endpoints),
        owner=deployment.owner,
        expires=deployment.expires,
        source="mesh file" if plane.is_in_file(deployment) else "registered",
    )


def _texts(endpoints: tuple[Endpoint, ...]) -> list[str]:
    return [str(endpoint) for endpoint in endpoints]


def _status(plane: ControlPlane) -> StatusOut:
    return StatusOut(
        version=__version__,
        mesh_file=MeshFileOut(path=str(plane.path), problem=str(plane.problem) if plane.problem else None),
        services=len(plane.mesh.services),
        deployments=len(plane.mesh.deployments),
        failures=[f"{key.name}: {message}" for key, message in plane.ads.catalog.failures.items()],
        envoys=[_envoy(one) for one in sorted(plane.ads.connections, key=lambda one: one.node)],
    )


def _envoy(connection: Connection) -> EnvoyOut:
    session = connection.session
    return EnvoyOut(
        node=connection.node,
        service=connection.service,
        role=connection.role,
        since=connection.since,
        sent_bytes=connection.sent_bytes,
        pending=session.pending,
        acknowledged={_short(type_url): names for type_url, names in session.acknowledged.items()},
        rejections=[
            RejectionOut(type=_short(one.type_url), names=list(one.names), message=one.message)
            for one in session.rejections
        ],
    )


def _short(type_url: str) -> str:
    return type_url.rpartition(".")[2]
