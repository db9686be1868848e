"""Offloaded deployments that are made in a cluster: copies of live baselines."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import FastAPI, HTTPException, Query, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from detour.mesh import OffloadedDeployment
from detour.server.api.bodies import CopyIn, DeploymentDetailOut, DeploymentOut, ProgressOut, UndoneOut
from detour.server.api.callers import Caller
from detour.server.api.deployments import CLUSTERS, deployment_out, nobody
from detour.server.api.problems import documented
from detour.server.control_plane import ControlPlane, Copies

_LOG_LINES: Final = 20
_NO_CLUSTER: Final = (
    "this server has no Kubernetes cluster: start instances yourself, and register them with offload add"
)

Tail = Annotated[int, Query(ge=0, le=100_000, description="how many lines that are there already")]


def add_copies(app: FastAPI, plane: ControlPlane) -> None:
    """Add them to an API."""

    def copies() -> Copies:
        if plane.copies is None:
            raise HTTPException(HTTPStatus.CONFLICT, _NO_CLUSTER)
        return plane.copies

    @app.post(
        "/v1/copies",
        status_code=HTTPStatus.ACCEPTED,
        responses=documented(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *CLUSTERS),
    )
    async def create(body: CopyIn, caller: Caller) -> DeploymentOut:
        """Make a copy of a service's live baseline with another image, or roll one's own.

        It is there at once, and serves once it is Ready: `GET /v1/deployments/{service}/{name}` tells.
        """
        wanted = replace(body.wanted(), owner=caller.speaking_for(body.owner) or "")
        await plane.create(copies(), wanted, caller.name)
        made = OffloadedDeployment(body.service, body.name, owner=wanted.owner, expires=wanted.expires)
        return deployment_out(plane, plane.mesh.deployment(*made.key) or made)

    @app.get(
        "/v1/deployments/{service}/{name}",
        response_model=DeploymentDetailOut,
        responses=documented(HTTPStatus.NOT_FOUND, *CLUSTERS),
    )
    async def show(service: str, name: str) -> DeploymentDetailOut | Response:
        """Say how an offloaded deployment is."""
        found = plane.mesh.deployment(service, name)
        if found is None:
            return nobody(service, name)
        progress = await _progress(plane.copies, service, name) if plane.copies else None
        return DeploymentDetailOut(**deployment_out(plane, found).model_dump(), progress=progress)

    @app.post(
        "/v1/deployments/{service}/{name}/undo",
        responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *CLUSTERS),
    )
    async def undo(service: str, name: str, caller: Caller) -> UndoneOut:
        """Take back a change that came to nothing: the copy that worked before is back, or else there is none."""
        if found := plane.mesh.deployment(service, name):
            caller.expect_owner(f"{service}@{name}", found.owner)
        return UndoneOut(what=await plane.undo(copies(), service, name, caller.name))

    @app.get(
        "/v1/deployments/{service}/{name}/log",
        response_class=PlainTextResponse,
        responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *CLUSTERS),
    )
    async def log(service: str, name: str, tail: Tail = 100, *, follow: bool = False) -> Response:
        """Give what the newest pod of a copy has written."""
        lines = copies().log(service, name, tail=tail, follow=follow)
        first = await anext(lines, "")  # what is refused is refused before the answer begins
        return StreamingResponse(_lines(first, lines, plane.events.closed), media_type="text/plain")


async def _lines(first: str, lines: AsyncIterator[str], closed: asyncio.Event) -> AsyncIterator[str]:
    """Yield lines until there are no more, or the server ends."""
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
