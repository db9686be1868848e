"""Checking the names in overrides before they are used: `POST /v1/overrides/check`, and for what is saved."""

from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel, Field

from detour.mesh import checking
from detour.overrides import Overrides
from detour.server.api import patterns
from detour.server.api.bodies import collected
from detour.server.api.problems import documented
from detour.server.control_plane import ControlPlane

Force = Annotated[
    bool, Query(description="also overrides whose service or deployment the mesh does not have at the moment")
]


class CheckIn(BaseModel, extra="forbid"):
    """Overrides that somebody is about to use."""

    overrides: Annotated[
        dict[str, str],
        Field(
            description="key and value of each, as in a scenario",
            examples=[{"route.users": "pr-42"}],
            max_length=64,
            json_schema_extra=patterns.OVERRIDES,
        ),
    ]


class MistakeOut(BaseModel):
    """An override that cannot take effect in the mesh as it is."""

    key: str
    value: str
    detail: Annotated[str, Field(description="what is wrong, for people")]
    suggestion: Annotated[str, Field(description="the nearest override that could, as the command line takes it")]


class CheckOut(BaseModel):
    """What is wrong with overrides; nothing if the list is empty."""

    mistakes: list[MistakeOut]


def add_checking(app: FastAPI, plane: ControlPlane) -> None:
    """Add it to an API."""

    @app.post(
        "/v1/overrides/check",
        responses=documented(HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY),
    )
    async def check(body: CheckIn) -> CheckOut:
        """Say which overrides name a service or a deployment that the mesh does not have, and what is nearest."""
        try:
            overrides = collected(body.overrides)
        except ValueError as error:
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
        found = checking.mistakes(overrides, plane.mesh) if plane.is_ready else []
        return CheckOut(
            mistakes=[
                MistakeOut(key=one.key, value=one.value, detail=text, suggestion=one.instead)
                for one, text in zip(found, checking.explained(found), strict=True)
            ]
        )


def expect_known(plane: ControlPlane, overrides: Overrides, before: Overrides | None = None) -> None:
    """Refuse overrides that cannot take effect, but for those that were there before.

    Raises:
        HTTPException: One of them names what the mesh does not have; its detail says what is nearest.
    """
    kept = frozenset(before or ())
    new = Overrides.collect(one for one in overrides if one not in kept)
    # A mesh that is still being read has no names yet.
    found = checking.mistakes(new, plane.mesh) if plane.is_ready else []
    if found:
        detail = "; ".join(checking.explained(found))
        end = "" if detail.endswith("?") else "."
        raise HTTPException(HTTPStatus.CONFLICT, f"{detail}{end} For what does not exist yet, add ?force=true")
