"""A scenario's link as a QR code (ISO/IEC 18004), for phones."""

import io
from http import HTTPStatus
from typing import Annotated, Any, Final

import segno
from fastapi import FastAPI, Header, HTTPException, Response

from detour.server.api.operations import Tag
from detour.server.api.problems import NO_DATABASE, documented
from detour.server.api.scenarios import Name
from detour.server.control_plane import ControlPlane

_IMAGE: Final = "image/svg+xml"
_TEXT: Final = "text/plain"
_QUIET_ZONE: Final = 4
"""The white margin, in modules (ISO/IEC 18004, section 6.3.8)."""

_DRAWN: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "the QR code",
        "content": {kind: {"schema": {"type": "string"}} for kind in (_IMAGE, _TEXT)},
    }
}

_Accept = Annotated[str, Header(description="`text/plain` for block characters, for terminals")]


def add_qr(app: FastAPI, plane: ControlPlane) -> None:
    """Add the operations to an API."""

    @app.get(
        "/v1/scenarios/{name}/qr",
        tags=[Tag.SCENARIOS],
        response_class=Response,
        responses={
            **_DRAWN,
            **documented(
                NO_DATABASE,
                HTTPStatus.NOT_FOUND,
                HTTPStatus.CONFLICT,
                HTTPStatus.GONE,
                HTTPStatus.UNPROCESSABLE_ENTITY,
            ),
        },
    )
    async def get_scenario_qr(name: Name, accept: _Accept = _IMAGE) -> Response:
        """Return the first link of a scenario as a QR code: a black and white image, or text for terminals."""
        links = plane.mesh.settings.links(plane.scenarios.live(name).name)
        if not links:
            raise HTTPException(
                HTTPStatus.CONFLICT,
                f"scenario {name} has no link: set the public URL of the edge in the mesh file, as in"
                " edge: {url: https://staging.example.test}",
            )
        code = segno.make(links[0], error="m", micro=False)
        if _TEXT in accept and _IMAGE not in accept:
            # As a header, because Starlette adds a charset to a text media type, and the document has none.
            return Response(_text(code), headers={"content-type": _TEXT, "vary": "accept"})
        return Response(_svg(code), media_type=_IMAGE, headers={"vary": "accept"})


def _text(code: segno.QRCode) -> str:
    drawn = io.StringIO()
    code.terminal(out=drawn, compact=True, border=_QUIET_ZONE)
    return drawn.getvalue()


def _svg(code: segno.QRCode) -> bytes:
    drawn = io.BytesIO()
    code.save(drawn, kind="svg", border=_QUIET_ZONE, dark="#000", light="#fff", omitsize=True)
    return drawn.getvalue()
