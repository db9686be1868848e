"""The check of names in overrides: `POST /v1/overrides/check`, and the parameter `force` for saving."""

from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query

from detour.contract import CheckIn, CheckOut, MistakeOut, WarningOut, collected
from detour.mesh import checking
from detour.server.api.operations import Tag
from detour.server.api.problems import documented
from detour.server.control_plane import ControlPlane

Force = Annotated[
    bool, Query(description="also accept overrides for services and deployments that the mesh does not have yet")
]


def add_checking(app: FastAPI, plane: ControlPlane) -> None:
    """Add the operations to an API."""

    @app.post(
        "/v1/overrides/check",
        tags=[Tag.OVERRIDES],
        responses=documented(HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY),
    )
    async def check_overrides(body: CheckIn) -> CheckOut:
        """Return the overrides without effect, each with the nearest known one, and those of only some ports."""
        try:
            overrides = collected(body.overrides)
        except ValueError as error:
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
        found = checking.mistakes(overrides, plane.mesh) if plane.is_ready else []
        limits = checking.limits(overrides, plane.mesh) if plane.is_ready else []
        return CheckOut(
            mistakes=[
                MistakeOut(key=one.key, value=one.value, detail=text, suggestion=one.instead)
                for one, text in zip(found, checking.explained(found), strict=True)
            ],
            warnings=[
                WarningOut(key=one.key, value=one.value, detail=text)
                for one, text in zip(limits, checking.explained(limits), strict=True)
            ],
        )
