"""The kill switch: whether overrides count at all, for the whole mesh."""

from http import HTTPStatus

from fastapi import FastAPI

from detour.access import Role
from detour.server.api.bodies import SwitchIn, SwitchOut
from detour.server.api.callers import Caller
from detour.server.api.problems import documented
from detour.server.control_plane import ControlPlane


def add_switch(app: FastAPI, plane: ControlPlane) -> None:
    """Add it to an API."""

    @app.get("/v1/overrides")
    async def overrides() -> SwitchOut:
        """Say whether overrides count."""
        return switch_out(plane)

    @app.put("/v1/overrides", responses=documented(HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY))
    async def switch(body: SwitchIn, caller: Caller) -> SwitchOut:
        """Have every sidecar and edge ignore overrides and scenarios, or honour them again. It takes an admin.

        Responses to requests that carried any say `x-detour-overrides: ignored: ...` from then on.
        """
        caller.expect(Role.ADMIN)
        await plane.switch_overrides(is_off=body.state == "off", reason=body.reason, by=caller.name)
        return switch_out(plane)


def switch_out(plane: ControlPlane) -> SwitchOut:
    """Return how the switch stands."""
    state = plane.switch.state
    return SwitchOut(state="off" if state.is_off else "on", reason=state.reason, by=state.by, since=state.at)
