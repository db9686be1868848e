"""Services, and their offloaded deployments."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import FastAPI, Query, Response
from fastapi.responses import JSONResponse

from detour.contract import DeploymentIn, DeploymentListOut, DeploymentOut, ExtensionIn, ServiceListOut
from detour.mesh import OffloadedDeployment, parse_duration
from detour.server.api.bodies import deployment_of, deployment_out, service_out
from detour.server.api.callers import Caller
from detour.server.api.operations import DeploymentName, ServiceName, Tag
from detour.server.api.pages import AnyLimit, Place, page_of_all
from detour.server.api.problems import documented, problem
from detour.server.control_plane import ControlPlane

CLUSTERS: Final = (HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_GATEWAY)
"""Errors that a Kubernetes cluster may cause."""

_Owner = Annotated[
    str | None, Query(description="for admins: act as this user, so that deployments of other owners are refused")
]


def add_deployments(app: FastAPI, plane: ControlPlane) -> None:
    """Add the operations to an API."""
    _add_lists(app, plane)
    _add_changes(app, plane)


def _add_lists(app: FastAPI, plane: ControlPlane) -> None:
    @app.get("/v1/services", tags=[Tag.SERVICES], responses=documented(HTTPStatus.UNPROCESSABLE_ENTITY))
    async def list_services(cursor: Place = None, limit: AnyLimit = None) -> ServiceListOut:
        """List the services of the mesh, by name."""
        deployments: dict[str, list[str]] = {}
        for service, name in sorted(plane.mesh.deployments):
            deployments.setdefault(service, []).append(name)
        every = sorted(plane.mesh.services.values(), key=lambda one: one.name)
        shown, following = page_of_all(every, cursor, limit, lambda one: one.name)
        items = [service_out(one, deployments.get(one.name, [])) for one in shown]
        return ServiceListOut(items=items, next=following)

    @app.get("/v1/deployments", tags=[Tag.DEPLOYMENTS], responses=documented(HTTPStatus.UNPROCESSABLE_ENTITY))
    async def list_deployments(cursor: Place = None, limit: AnyLimit = None) -> DeploymentListOut:
        """List the offloaded deployments, sorted by service and name: `users@pr-42`."""
        every = sorted(plane.mesh.deployments.values(), key=_label)
        shown, following = page_of_all(every, cursor, limit, _label)
        items = [deployment_out(one, plane.deployments.source_of(one), plane.mesh) for one in shown]
        return DeploymentListOut(items=items, next=following)


def _add_changes(app: FastAPI, plane: ControlPlane) -> None:
    @app.post(
        "/v1/deployments",
        tags=[Tag.DEPLOYMENTS],
        status_code=HTTPStatus.CREATED,
        responses=documented(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONFLICT,
            *CLUSTERS,
        ),
    )
    async def register_deployment(body: DeploymentIn, caller: Caller) -> DeploymentOut:
        """Register an offloaded deployment, or replace one that the caller owns."""
        made = await plane.deployments.register(caller, deployment_of(body, body.owner or ""))
        return deployment_out(made, plane.deployments.source_of(made), plane.mesh)

    @app.delete(
        "/v1/deployments/{service}/{name}",
        tags=[Tag.DEPLOYMENTS],
        status_code=HTTPStatus.NO_CONTENT,
        response_class=Response,
        responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *CLUSTERS),
    )
    async def remove_deployment(
        service: ServiceName, name: DeploymentName, caller: Caller, owner: _Owner = None
    ) -> Response:
        """Remove an offloaded deployment that was registered or copied, not one of the mesh file."""
        removed = await plane.deployments.remove(caller, service, name, owner)
        return Response(status_code=HTTPStatus.NO_CONTENT) if removed else deployment_not_found(service, name)

    @app.patch(
        "/v1/deployments/{service}/{name}",
        tags=[Tag.DEPLOYMENTS],
        response_model=DeploymentOut,
        responses=documented(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *CLUSTERS),
    )
    async def extend_deployment(
        service: ServiceName, name: DeploymentName, body: ExtensionIn, caller: Caller
    ) -> DeploymentOut | Response:
        """Set when an offloaded deployment expires, counted from now."""
        expires = datetime.now(UTC) + parse_duration(body.ttl)
        extended = await plane.deployments.extend(caller, service, name, expires, body.owner)
        if extended is None:
            return deployment_not_found(service, name)
        return deployment_out(extended, plane.deployments.source_of(extended), plane.mesh)


def _label(deployment: OffloadedDeployment) -> str:
    return f"{deployment.service}@{deployment.name}"


def deployment_not_found(service: str, name: str) -> JSONResponse:
    """Return a 404 for a deployment that does not exist."""
    hint = "GET /v1/deployments (detour offload ls) lists all deployments"
    return problem(HTTPStatus.NOT_FOUND, f"deployment {service}@{name} does not exist; {hint}")
