"""Tokens with which the overrides of requests from outside count at an edge."""

import re
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI
from pydantic import AfterValidator, BaseModel, Field

from detour.mesh import parse_duration
from detour.mesh.override_tokens import HEADER, LIFE_MAX
from detour.server.api import patterns
from detour.server.api.callers import Caller
from detour.server.api.problems import NO_DATABASE, documented, expect_kept
from detour.server.control_plane import ControlPlane

_SECONDS_AND_MORE = re.compile(r"[0-9]+[smhd]", re.ASCII)


def _ttl(text: str) -> str:
    if not _SECONDS_AND_MORE.fullmatch(text) or parse_duration(text) > LIFE_MAX:
        raise ValueError("expected whole seconds, minutes or an hour, from 1s to 1h: 90s, 15m, 1h")
    return text


class OverrideTokenIn(BaseModel, extra="forbid"):
    """What kind of token is wanted."""

    ttl: Annotated[
        str,
        AfterValidator(_ttl),
        Field(
            description="how long it is good for, 1h at most: 90s, 15m, 1h",
            json_schema_extra={"pattern": patterns.TOKEN_TTL},
        ),
    ] = "15m"


class OverrideTokenOut(BaseModel):
    """A token, and where to put it: into this header of a request that has overrides in its baggage."""

    token: str
    header: str = HEADER
    expires: datetime


def add_override_tokens(app: FastAPI, plane: ControlPlane) -> None:
    """Add them to an API."""

    @app.post(
        "/v1/override-tokens",
        status_code=HTTPStatus.CREATED,
        responses=documented(HTTPStatus.BAD_REQUEST, NO_DATABASE, HTTPStatus.UNPROCESSABLE_ENTITY),
    )
    async def issue(body: OverrideTokenIn, caller: Caller) -> OverrideTokenOut:
        """Issue a token: requests from outside that bring it may say what overrides they like, until it expires.

        It can't be taken back; it goes to the edge, and no further.
        """
        made = expect_kept(plane.keyring).signer.token(caller.name, parse_duration(body.ttl))
        return OverrideTokenOut(token=made.text, expires=made.expires)
