"""The API put together, and what every server tells: its health, and its state."""

import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi_offline import FastAPIOffline

from detour import __version__
from detour.server.api.bodies import (
    ClusterOut,
    DepartureOut,
    EnvoyOut,
    GoneOut,
    HealthOut,
    MeshFileOut,
    OpeningOut,
    RejectionOut,
    StatusOut,
)
from detour.server.api.callers import DOCS, OPEN, identify
from detour.server.api.changes import add_changes
from detour.server.api.checking import add_checking
from detour.server.api.copies import add_copies
from detour.server.api.deployments import add_deployments
from detour.server.api.identities import add_identities
from detour.server.api.metrics import add_metrics
from detour.server.api.override_tokens import add_override_tokens
from detour.server.api.problems import add_problems, documented
from detour.server.api.qr import add_qr
from detour.server.api.scenarios import add_scenarios
from detour.server.api.switch import add_switch, switch_out
from detour.server.api.traffic import add_traffic
from detour.server.control_plane import ControlPlane
from detour.server.identities import Identities
from detour.server.sources import MeshFile
from detour.server.web import add_page
from detour.traffic.departures import Departure
from detour.traffic.openings import Opening
from detour.xds.server import Connection, Gone

_EVERYWHERE = (HTTPStatus.FORBIDDEN, HTTPStatus.INTERNAL_SERVER_ERROR)
"""What any operation may answer."""
_GONE_FOR = timedelta(hours=1)
_IDENTIFIED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.SERVICE_UNAVAILABLE)
"""What one may answer that must know who asks."""


def api(plane: ControlPlane, identities: Identities | None = None) -> FastAPI:
    """Return the API of a control plane.

    Args:
        plane: What it is the API of.
        identities: Who may be known; by default programs of the server's own machine alone.
    """
    # Its viewer comes from this server, too: nobody needs another one.
    app = FastAPIOffline(
        docs_url=DOCS,
        redoc_url=None,
        static_url=f"{DOCS}/files",
        title="Detour",
        version=__version__,
        responses=documented(*_EVERYWHERE),
        dependencies=[Depends(identify)],
    )
    app.state.identities = identities or Identities()
    add_problems(app)
    _add_health(app, plane)
    add_deployments(app, plane)
    add_copies(app, plane)
    add_scenarios(app, plane)
    add_checking(app, plane)
    add_override_tokens(app, plane)
    add_qr(app, plane)
    add_changes(app, plane)
    add_identities(app, app.state.identities)
    add_traffic(app, plane)
    add_switch(app, plane)
    add_metrics(app, plane)
    add_page(app, app.state.identities)
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Correct what FastAPI says of parameters: one that may be left out is not null if it is there."""
    document = app.openapi()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _describe_access(operation, is_open=path in OPEN)
            if "application/json" in operation["responses"].get("422", {}).get("content", ()):
                # FastAPI's own, of an operation whose only parameter is a header that takes anything.
                del operation["responses"]["422"]
            for parameter in operation.get("parameters", ()):
                match parameter["schema"].get("anyOf"):
                    case [kind, {"type": "null"}]:
                        parameter["schema"].pop("anyOf")
                        parameter["schema"].update(kind)


def _describe_access(operation: dict[str, Any], *, is_open: bool) -> None:
    """Say who may call an operation: where it is not open, those who bring a token, and some who need none."""
    if is_open:
        operation.pop("security", None)
        operation["responses"].pop(str(HTTPStatus.FORBIDDEN.value), None)
        return
    # Some need not bring one (OpenAPI 3.1, section 4.8.30).
    operation["security"].append({})
    for code, answer in documented(*_IDENTIFIED).items():
        operation["responses"].setdefault(str(code), answer)


def _add_health(app: FastAPI, plane: ControlPlane) -> None:
    @app.get("/healthz")
    async def healthz() -> HealthOut:
        """Say that the server runs."""
        return HealthOut()

    @app.get("/readyz", responses=documented(HTTPStatus.SERVICE_UNAVAILABLE))
    async def readyz() -> HealthOut:
        """Say that Envoys are served: the whole mesh has been read."""
        if not plane.is_ready:
            waiting = "; ".join(plane.failures) or "the mesh is being read"
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, f"Envoys are not served yet: {waiting}")
        return HealthOut()

    @app.get("/v1/status")
    async def status() -> StatusOut:
        """Say what is connected, what each Envoy has acknowledged, and what it refused."""
        return _status(plane)


def _status(plane: ControlPlane) -> StatusOut:
    return StatusOut(
        version=__version__,
        mesh_file=_mesh_file(plane),
        cluster=_cluster(plane),
        services=len(plane.mesh.services),
        deployments=len(plane.mesh.deployments),
        failures=plane.failures,
        overrides=switch_out(plane),
        gone=[GoneOut.model_validate(one, from_attributes=True) for one in _gone(plane)],
        openings=[_opening(one) for one in plane.reports.openings.recent(time.time())],
        envoys=[_envoy(one) for one in sorted(plane.ads.connections, key=lambda one: one.node)],
        departures=[_departure(one) for one in plane.reports.departures.recent(time.time())],
    )


def _gone(plane: ControlPlane) -> list[Gone]:
    earliest = datetime.now(UTC) - _GONE_FOR
    return [one for one in plane.ads.gone.values() if one.since > earliest]


def _opening(one: Opening) -> OpeningOut:
    began, ended = (datetime.fromtimestamp(at, UTC) for at in (one.began, one.ended))
    return OpeningOut(service=one.service, instance=one.instance, began=began, ended=ended, requests=one.requests)


def _departure(one: Departure) -> DepartureOut:
    return DepartureOut(
        caller=one.caller,
        host=one.host,
        overridden=list(one.overridden),
        suspected=one.suspected,
        requests=one.requests,
        last=datetime.fromtimestamp(one.last, UTC),
    )


def _mesh_file(plane: ControlPlane) -> MeshFileOut | None:
    found = next((source for source in plane.sources if isinstance(source, MeshFile)), None)
    return (
        MeshFileOut(path=str(found.path), problem=str(found.problem) if found.problem else None) if found else None
    )


def _cluster(plane: ControlPlane) -> ClusterOut | None:
    found = next((source for source in plane.sources if source.name == "cluster"), None)
    return ClusterOut(namespaces=found.what, problems=list(found.problems)) if found else None


def _envoy(connection: Connection) -> EnvoyOut:
    session = connection.session
    return EnvoyOut(
        node=connection.node,
        service=connection.service,
        role=connection.role,
        since=connection.since,
        sent_bytes=connection.sent_bytes,
        pending=session.pending,
        acknowledged={_short(type_url): names for type_url, names in session.acknowledged.items()},
        rejections=[
            RejectionOut(type=_short(one.type_url), names=list(one.names), message=one.message)
            for one in session.rejections
        ],
    )


def _short(type_url: str) -> str:
    return type_url.rpartition(".")[2]
