"""A scenario's link as a QR code (ISO/IEC 18004), for whoever has a phone at hand."""

import io
from http import HTTPStatus
from typing import Any, Final

import segno
from fastapi import FastAPI, HTTPException, Response

from detour.server.api.problems import NO_DATABASE, documented
from detour.server.api.scenarios import Name, expect_live
from detour.server.control_plane import ControlPlane

_MEDIA_TYPE: Final = "image/svg+xml"
_QUIET_ZONE: Final = 4
"""Modules of white around it (ISO/IEC 18004, section 6.3.8)."""

_IMAGE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "the QR code", "content": {_MEDIA_TYPE: {"schema": {"type": "string"}}}}
}


def add_qr(app: FastAPI, plane: ControlPlane) -> None:
    """Add them to an API."""

    @app.get(
        "/v1/scenarios/{name}/qr",
        response_class=Response,
        responses={
            **_IMAGE,
            **documented(
                NO_DATABASE,
                HTTPStatus.NOT_FOUND,
                HTTPStatus.CONFLICT,
                HTTPStatus.GONE,
                HTTPStatus.UNPROCESSABLE_ENTITY,
            ),
        },
    )
    async def qr(name: Name) -> Response:
        """Return the first of a scenario's links as a QR code, black on white."""
        links = plane.mesh.settings.links(expect_live(plane, name).name)
        if not links:
            raise HTTPException(
                HTTPStatus.CONFLICT,
                f"scenario {name} has no link: say in the mesh file where people reach the edge, as in"
                " edge: {url: https://staging.example.test}",
            )
        return Response(_svg(links[0]), media_type=_MEDIA_TYPE)


def _svg(text: str) -> bytes:
    drawn = io.BytesIO()
    code = segno.make(text, error="m", micro=False)
    code.save(drawn, kind="svg", border=_QUIET_ZONE, dark="#000", light="#fff", omitsize=True)
    return drawn.getvalue()
