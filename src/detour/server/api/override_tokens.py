"""Tokens with which an edge accepts the overrides of requests from outside."""

from http import HTTPStatus

from fastapi import FastAPI

from detour.contract import OverrideTokenIn, OverrideTokenOut
from detour.mesh import parse_duration
from detour.server.api.callers import Caller
from detour.server.api.operations import Tag
from detour.server.api.problems import NO_DATABASE, documented
from detour.server.control_plane import ControlPlane


def add_override_tokens(app: FastAPI, plane: ControlPlane) -> None:
    """Add the operations to an API."""

    @app.post(
        "/v1/override-tokens",
        tags=[Tag.OVERRIDES],
        status_code=HTTPStatus.CREATED,
        responses=documented(HTTPStatus.BAD_REQUEST, NO_DATABASE, HTTPStatus.UNPROCESSABLE_ENTITY),
    )
    async def issue_override_token(body: OverrideTokenIn, caller: Caller) -> OverrideTokenOut:
        """Issue a token with which an edge accepts the overrides of requests from outside, until it expires.

        It cannot be revoked. The edge removes it from requests.
        """
        made = plane.override_tokens.issue(caller, parse_duration(body.ttl))
        return OverrideTokenOut(token=made.text, expires=made.expires)
