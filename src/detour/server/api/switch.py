"""The kill switch for overrides in the whole mesh."""

from http import HTTPStatus

from fastapi import FastAPI

from detour.contract import SwitchIn, SwitchOut, SwitchState
from detour.server.api.bodies import switch_out
from detour.server.api.callers import Caller
from detour.server.api.operations import Tag
from detour.server.api.problems import documented
from detour.server.control_plane import ControlPlane


def add_switch(app: FastAPI, plane: ControlPlane) -> None:
    """Add the operations to an API."""

    @app.get("/v1/overrides", tags=[Tag.OVERRIDES])
    async def get_switch() -> SwitchOut:
        """Return whether the mesh honours overrides."""
        return switch_out(plane.switch.state)

    @app.put(
        "/v1/overrides",
        tags=[Tag.OVERRIDES],
        responses=documented(HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY),
    )
    async def set_switch(body: SwitchIn, caller: Caller) -> SwitchOut:
        """Make every sidecar and edge ignore overrides and scenarios, or honour them again. Needs the role admin.

        While they are off, responses to requests with overrides have `x-detour-overrides: ignored: ...`.
        """
        await plane.switch.switch(caller, is_off=body.state is SwitchState.OFF, reason=body.reason)
        return switch_out(plane.switch.state)
