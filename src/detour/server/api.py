"""The HTTP API, version 1.

Invariant: a thin adapter over `ControlPlane`. Every error is problem details (RFC 9457) that says what to do.
"""

from http import HTTPStatus

from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import JSONResponse

from detour import __version__
from detour.mesh import Endpoint, OffloadedDeployment, Service
from detour.server.bodies import (
    ClusterOut,
    DeploymentIn,
    DeploymentOut,
    EnvoyOut,
    HealthOut,
    MeshFileOut,
    RejectionOut,
    ServiceOut,
    StatusOut,
)
from detour.server.control_plane import ControlPlane
from detour.server.problems import add_problems, documented, problem
from detour.server.sources import MeshFile
from detour.xds.server import Connection


def api(plane: ControlPlane) -> FastAPI:
    """Return the API of a control plane."""
    app = FastAPI(title="Detour", version=__version__, responses=documented(HTTPStatus.INTERNAL_SERVER_ERROR))
    add_problems(app)
    _add_mesh(app, plane)
    _add_deployments(app, plane)

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
            HTTPStatus.UNPROCESSABLE_ENTITY,
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
        responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY),
    )
    async def remove(service: str, name: str) -> Response:
        """Remove an offloaded deployment that was registered at run time."""
        return (
            Response(status_code=HTTPStatus.NO_CONTENT)
            if await plane.remove(service, name)
            else _nobody(service, name)
        )


def _nobody(service: str, name: str) -> JSONResponse:
    hint = "GET /v1/deployments (detour offload ls) lists what there is"
    return problem(HTTPStatus.NOT_FOUND, f"nobody has registered {service}@{name}; {hint}")


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
