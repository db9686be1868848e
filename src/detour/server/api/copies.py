"""Copies: offloaded deployments that the server creates in a cluster from live baselines."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import FastAPI, Query, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from detour.contract import CopyIn, CopyOut, DeploymentDetailOut, ProgressOut, ProgressState, UndoneOut
from detour.server.api.bodies import deployment_out, wanted_of
from detour.server.api.callers import Caller
from detour.server.api.deployments import CLUSTERS, deployment_not_found
from detour.server.api.operations import DeploymentName, ServiceName, Tag
from detour.server.api.problems import documented
from detour.server.control_plane import ControlPlane
from detour.server.deployments import DeploymentOperations

_LOG_LINES: Final = 20

Tail = Annotated[int, Query(ge=0, le=100_000, description="number of existing lines to return")]
Follow = Annotated[bool, Query(description="also send new lines as they are written")]


def add_copies(app: FastAPI, plane: ControlPlane) -> None:
    """Add the operations to an API."""
    _add_changes(app, plane)
    _add_reading(app, plane)


def _add_changes(app: FastAPI, plane: ControlPlane) -> None:
    @app.post(
        "/v1/copies",
        tags=[Tag.DEPLOYMENTS],
        status_code=HTTPStatus.ACCEPTED,
        responses=documented(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *CLUSTERS),
    )
    async def create_copy(body: CopyIn, caller: Caller) -> CopyOut:
        """Copy a service's live baseline with another image, or roll an existing copy that the caller owns.

        The copy serves requests once it is Ready: `GET /v1/deployments/{service}/{name}` shows its progress.
        """
        made = await plane.deployments.create(caller, wanted_of(body, body.owner or ""))
        shown = deployment_out(made.deployment, plane.deployments.source_of(made.deployment), plane.mesh)
        return CopyOut(**shown.model_dump(), notes=list(made.notes))

    @app.post(
        "/v1/deployments/{service}/{name}/undo",
        tags=[Tag.DEPLOYMENTS],
        responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *CLUSTERS),
    )
    async def undo_copy(service: ServiceName, name: DeploymentName, caller: Caller) -> UndoneOut:
        """Undo the last change of a copy: restore the copy that worked before it, or remove the copy."""
        return UndoneOut(what=await plane.deployments.undo(caller, service, name))


def _add_reading(app: FastAPI, plane: ControlPlane) -> None:
    @app.get(
        "/v1/deployments/{service}/{name}",
        tags=[Tag.DEPLOYMENTS],
        response_model=DeploymentDetailOut,
        responses=documented(HTTPStatus.NOT_FOUND, *CLUSTERS),
    )
    async def get_deployment(service: ServiceName, name: DeploymentName) -> DeploymentDetailOut | Response:
        """Return an offloaded deployment, and the progress of its copy."""
        found = plane.deployments.find(service, name)
        if found is None:
            return deployment_not_found(service, name)
        progress = await _progress(plane.deployments, service, name)
        shown = deployment_out(found, plane.deployments.source_of(found), plane.mesh)
        return DeploymentDetailOut(**shown.model_dump(), progress=progress)

    @app.get(
        "/v1/deployments/{service}/{name}/log",
        tags=[Tag.DEPLOYMENTS],
        response_class=PlainTextResponse,
        responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *CLUSTERS),
    )
    async def get_deployment_log(
        service: ServiceName, name: DeploymentName, tail: Tail = 100, *, follow: Follow = False
    ) -> Response:
        """Return the log of the newest pod of a copy."""
        lines = plane.deployments.log(service, name, tail=tail, follow=follow)
        first = await anext(lines, "")  # an error must be raised before the response begins
        return StreamingResponse(_lines(first, lines, plane.events.closed), media_type="text/plain")


async def _lines(first: str, lines: AsyncIterator[str], closed: asyncio.Event) -> AsyncIterator[str]:
    """Yield lines until the log or the server ends."""
    yield first
    ending = asyncio.create_task(closed.wait())
    try:
        while True:
            coming = asyncio.ensure_future(anext(lines, ""))
            await asyncio.wait({coming, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done() or not (line := coming.result()):
                coming.cancel()
                return
            yield line
    finally:
        ending.cancel()


async def _progress(deployments: DeploymentOperations, service: str, name: str) -> ProgressOut | None:
    found = await deployments.progress(service, name)
    if found is None:
        return None
    log = await deployments.log_of(service, *found.failing, _LOG_LINES) if found.failing else []
    return ProgressOut(
        state=ProgressState(found.state),
        ready=found.ready,
        wanted=found.wanted,
        step=found.step,
        events=list(found.events),
        log=[line.rstrip("\n") for line in log],
    )
