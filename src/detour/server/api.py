"""The HTTP API, version 1.

Invariant: a thin adapter over `ControlPlane`. Every error is problem details (RFC 9457) that says what to do.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from detour import __version__
from detour.mesh import Endpoint, OffloadedDeployment, Service, parse_duration
from detour.server.bodies import (
    ClusterOut,
    CopyIn,
    DeploymentDetailOut,
    DeploymentIn,
    DeploymentOut,
    EnvoyOut,
    ExtensionIn,
    HealthOut,
    MeshFileOut,
    ProgressOut,
    RejectionOut,
    ServiceOut,
    StatusOut,
    UndoneOut,
)
from detour.server.control_plane import ControlPlane, Copies
from detour.server.problems import add_problems, documented, problem
from detour.server.sources import MeshFile
from detour.xds.server import Connection

_CLUSTERS = (HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_GATEWAY)
_LOG_LINES = 20
_NO_CLUSTER = "this server has no Kubernetes cluster: start instances yourself, and register them with offload add"

Asker = Annotated[str | None, Query(description="who asks; refused if it is somebody else's")]
Tail = Annotated[int, Query(ge=0, le=100_000, description="how many lines that are there already")]


def api(plane: ControlPlane) -> FastAPI:
    """Return the API of a control plane."""
    app = FastAPI(title="Detour", version=__version__, responses=documented(HTTPStatus.INTERNAL_SERVER_ERROR))
    add_problems(app)
    _add_mesh(app, plane)
    _add_deployments(app, plane)
    _add_copies(app, plane)

    @app.get("/healthz")
    async def healthz() -> HealthOut:
        """Say that the server runs."""
        return HealthOut()

    @app.get("/readyz", responses=documented(HTTPStatus.SERVICE_UNAVAILABLE))
    async def readyz() -> HealthOut:
        """Say that Envoys are served: the whole mesh has been read."""
        if not plane.is_ready:
            waiting = "; ".join(plane.failures) or "the mesh is being read"
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, f"Envoys are not served yet: {waiting}")
        return HealthOut()

    @app.get("/v1/status")
    async def status() -> StatusOut:
        """Say what is connected, what each Envoy has acknowledged, and what it refused."""
        return _status(plane)

    return app


def _add_mesh(app: FastAPI, plane: ControlPlane) -> None:
    @app.get("/v1/services")
    async def services() -> list[ServiceOut]:
        """List the services of the mesh."""
        deployments: dict[str, list[str]] = {}
        for service, name in sorted(plane.mesh.deployments):
            deployments.setdefault(service, []).append(name)
        return [_service(one, deployments.get(name, [])) for name, one in sorted(plane.mesh.services.items())]


def _add_deployments(app: FastAPI, plane: ControlPlane) -> None:
    @app.get("/v1/deployments")
    async def deployments() -> list[DeploymentOut]:
        """List the offloaded deployments."""
        return [_deployment(plane, one) for _, one in sorted(plane.mesh.deployments.items())]

    @app.post(
        "/v1/deployments",
        status_code=HTTPStatus.CREATED,
        responses=documented(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONFLICT,
            *_CLUSTERS,
        ),
    )
    async def register(body: DeploymentIn) -> DeploymentOut:
        """Register an offloaded deployment, or replace one's own."""
        deployment = body.deployment()
        await plane.register(deployment)
        return _deployment(plane, deployment)

    @app.delete(
        "/v1/deployments/{service}/{name}",
        status_code=HTTPStatus.NO_CONTENT,
        response_class=Response,
        responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *_CLUSTERS),
    )
    async def remove(service: str, name: str, owner: Asker = None) -> Response:
        """Remove an offloaded deployment that was made at run time."""
        removed = await plane.remove(service, name, owner)
        return Response(status_code=HTTPStatus.NO_CONTENT) if removed else _nobody(service, name)

    @app.patch(
        "/v1/deployments/{service}/{name}",
        response_model=DeploymentOut,
        responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *_CLUSTERS),
    )
    async def extend(service: str, name: str, body: ExtensionIn) -> DeploymentOut | Response:
        """Let an offloaded deployment live so much longer, from this moment on."""
        expires = datetime.now(UTC) + parse_duration(body.ttl)
        found = plane.mesh.deployment(service, name)
        if found is None or not await plane.extend(service, name, expires, body.owner):
            return _nobody(service, name)
        return _deployment(plane, replace(found, expires=expires))


def _add_copies(app: FastAPI, plane: ControlPlane) -> None:
    def copies() -> Copies:
        if plane.copies is None:
            raise HTTPException(HTTPStatus.CONFLICT, _NO_CLUSTER)
        return plane.copies

    @app.post(
        "/v1/copies",
        status_code=HTTPStatus.ACCEPTED,
        responses=documented(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *_CLUSTERS),
    )
    async def create(body: CopyIn) -> DeploymentOut:
        """Make a copy of a service's live baseline with another image, or roll one's own.

        It is there at once, and serves once it is Ready: `GET /v1/deployments/{service}/{name}` tells.
        """
        wanted = body.wanted()
        await plane.create(copies(), wanted)
        made = OffloadedDeployment(body.service, body.name, owner=body.owner, expires=wanted.expires)
        return _deployment(plane, plane.mesh.deployment(*made.key) or made)

    @app.get(
        "/v1/deployments/{service}/{name}",
        response_model=DeploymentDetailOut,
        responses=documented(HTTPStatus.NOT_FOUND, *_CLUSTERS),
    )
    async def show(service: str, name: str) -> DeploymentDetailOut | Response:
        """Say how an offloaded deployment is."""
        found = plane.mesh.deployment(service, name)
        if found is None:
            return _nobody(service, name)
        progress = await _progress(plane.copies, service, name) if plane.copies else None
        return DeploymentDetailOut(**_deployment(plane, found).model_dump(), progress=progress)

    @app.post(
        "/v1/deployments/{service}/{name}/undo",
        responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *_CLUSTERS),
    )
    async def undo(service: str, name: str) -> UndoneOut:
        """Take back a change that came to nothing: the copy that worked before is back, or else there is none."""
        return UndoneOut(what=await copies().undo(service, name))

    @app.get(
        "/v1/deployments/{service}/{name}/log",
        response_class=PlainTextResponse,
        responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *_CLUSTERS),
    )
    async def log(service: str, name: str, tail: Tail = 100, *, follow: bool = False) -> Response:
        """Give what the newest pod of a copy has written."""
        lines = copies().log(service, name, tail=tail, follow=follow)
        first = await anext(lines, "")  # what is refused is refused before the answer begins
        return StreamingResponse(_lines(first, lines), media_type="text/plain")


async def _lines(first: str, lines: AsyncIterator[str]) -> AsyncIterator[str]:
    yield first
    async for line in lines:
        yield line


async def _progress(copies: Copies, service: str, name: str) -> ProgressOut | None:
    found = await copies.progress(service, name)
    if found is None:
        return None
    log = await copies.log_of(service, *found.failing, _LOG_LINES) if found.failing else []
    return ProgressOut(
        state=found.state,
        ready=found.ready,
        wanted=found.wanted,
        step=found.step,
        events=list(found.events),
        log=[line.rstrip("\n") for line in log],
    )


def _nobody(service: str, name: str) -> JSONResponse:
    hint = "GET /v1/deployments (detour offload ls) lists what there is"
    return problem(HTTPStatus.NOT_FOUND, f"there is no {service}@{name}; {hint}")


def _service(service: Service, deployments: list[str]) -> ServiceOut:
    return ServiceOut(
        name=service.name,
        protocol=service.protocol,
        endpoints=_texts(service.endpoints),
        deployments=deployments,
    )


def _deployment(plane: ControlPlane, deployment: OffloadedDeployment) -> DeploymentOut:
    return DeploymentOut(
        service=deployment.service,
        name=deployment.name,
        endpoints=_texts(deployment.endpoints),
        owner=deployment.owner,
        expires=deployment.expires,
        source=plane.source_of(deployment),
    )


def _texts(endpoints: tuple[Endpoint, ...]) -> list[str]:
    return [str(endpoint) for endpoint in endpoints]


def _status(plane: ControlPlane) -> StatusOut:
    return StatusOut(
        version=__version__,
        mesh_file=_mesh_file(plane),
        cluster=_cluster(plane),
        services=len(plane.mesh.services),
        deployments=len(plane.mesh.deployments),
        failures=plane.failures,
        envoys=[_envoy(one) for one in sorted(plane.ads.connections, key=lambda one: one.node)],
    )


def _mesh_file(plane: ControlPlane) -> MeshFileOut | None:
    found = next((source for source in plane.sources if isinstance(source, MeshFile)), None)
    return (
        MeshFileOut(path=str(found.path), problem=str(found.problem) if found.problem else None) if found else None
    )


def _cluster(plane: ControlPlane) -> ClusterOut | None:
    found = next((source for source in plane.sources if source.name == "cluster"), None)
    return ClusterOut(namespaces=found.what, problems=list(found.problems)) if found else None


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
