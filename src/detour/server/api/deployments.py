"""Services, and their offloaded deployments."""

from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse

from detour.mesh import Endpoint, OffloadedDeployment, Service, parse_duration
from detour.server.api.bodies import DeploymentIn, DeploymentOut, ExtensionIn, ServiceOut
from detour.server.api.callers import Caller
from detour.server.api.pages import LINK, AnyLimit, Place, page_of_all
from detour.server.api.problems import documented, problem
from detour.server.control_plane import ControlPlane

CLUSTERS: Final = (HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_GATEWAY)
"""What a Kubernetes cluster may answer."""

_LIST: Final[dict[int | str, dict[str, Any]]] = {200: LINK, **documented(HTTPStatus.UNPROCESSABLE_ENTITY)}

Asker = Annotated[str | None, Query(description="who asks; refused if it is somebody else's")]


def add_deployments(app: FastAPI, plane: ControlPlane) -> None:
    """Add them to an API."""

    @app.get("/v1/services", responses=_LIST)
    async def services(
        request: Request, response: Response, _place: Place = None, limit: AnyLimit = None
    ) -> list[ServiceOut]:
        """List the services of the mesh, by name."""
        deployments: dict[str, list[str]] = {}
        for service, name in sorted(plane.mesh.deployments):
            deployments.setdefault(service, []).append(name)
        every = sorted(plane.mesh.services.values(), key=lambda one: one.name)
        shown = page_of_all(request, response, every, limit, lambda one: one.name)
        return [_service(one, deployments.get(one.name, [])) for one in shown]

    @app.get("/v1/deployments", responses=_LIST)
    async def deployments(
        request: Request, response: Response, _place: Place = None, limit: AnyLimit = None
    ) -> list[DeploymentOut]:
        """List the offloaded deployments, by what they are called: `users@pr-42`."""
        every = sorted(plane.mesh.deployments.values(), key=_label)
        shown = page_of_all(request, response, every, limit, _label)
        return [deployment_out(plane, one) for one in shown]

    @app.post(
        "/v1/deployments",
        status_code=HTTPStatus.CREATED,
        responses=documented(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONFLICT,
            *CLUSTERS,
        ),
    )
    async def register(body: DeploymentIn, caller: Caller) -> DeploymentOut:
        """Register an offloaded deployment, or replace one's own."""
        deployment = replace(body.deployment(), owner=caller.speaking_for(body.owner) or "")
        await plane.register(deployment, caller.name)
        return deployment_out(plane, deployment)

    @app.delete(
        "/v1/deployments/{service}/{name}",
        status_code=HTTPStatus.NO_CONTENT,
        response_class=Response,
        responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *CLUSTERS),
    )
    async def remove(service: str, name: str, caller: Caller, owner: Asker = None) -> Response:
        """Remove an offloaded deployment that was made at run time."""
        removed = await plane.remove(service, name, owner=caller.speaking_for(owner), by=caller.name)
        return Response(status_code=HTTPStatus.NO_CONTENT) if removed else nobody(service, name)

    @app.patch(
        "/v1/deployments/{service}/{name}",
        response_model=DeploymentOut,
        responses=documented(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *CLUSTERS),
    )
    async def extend(service: str, name: str, body: ExtensionIn, caller: Caller) -> DeploymentOut | Response:
        """Let an offloaded deployment live so much longer, from this moment on."""
        expires = datetime.now(UTC) + parse_duration(body.ttl)
        found = plane.mesh.deployment(service, name)
        owner = caller.speaking_for(body.owner)
        if found is None or not await plane.extend(service, name, expires, owner=owner, by=caller.name):
            return nobody(service, name)
        return deployment_out(plane, replace(found, expires=expires))


def _label(deployment: OffloadedDeployment) -> str:
    return f"{deployment.service}@{deployment.name}"


def nobody(service: str, name: str) -> JSONResponse:
    """Answer that there is no such deployment."""
    hint = "GET /v1/deployments (detour offload ls) lists what there is"
    return problem(HTTPStatus.NOT_FOUND, f"there is no {service}@{name}; {hint}")


def _service(service: Service, deployments: list[str]) -> ServiceOut:
    return ServiceOut(
        name=service.name,
        protocol=service.protocol,
        endpoints=_texts(service.endpoints),
        deployments=deployments,
    )


def deployment_out(plane: ControlPlane, deployment: OffloadedDeployment) -> DeploymentOut:
    """Return a deployment as the API has it."""
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
