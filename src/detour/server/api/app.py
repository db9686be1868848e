"""The assembled API, and the operations for the health and the state of the server."""

import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from fastapi import Depends, FastAPI, HTTPException
from fastapi_offline import FastAPIOffline

from detour import __version__
from detour.contract import (
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
from detour.server.api.bodies import switch_out
from detour.server.api.callers import DOCS, identify
from detour.server.api.changes import add_changes
from detour.server.api.checking import add_checking
from detour.server.api.copies import add_copies
from detour.server.api.deployments import add_deployments
from detour.server.api.document import EVERYWHERE, describe
from detour.server.api.identities import add_identities
from detour.server.api.metrics import add_metrics
from detour.server.api.operations import TAGS, Tag, operation_id
from detour.server.api.override_tokens import add_override_tokens
from detour.server.api.problems import add_problems, documented
from detour.server.api.qr import add_qr
from detour.server.api.scenarios import add_scenarios
from detour.server.api.switch import add_switch
from detour.server.api.traffic import add_traffic
from detour.server.control_plane import ControlPlane
from detour.server.identities import Identities
from detour.server.sources import Source, StatusField
from detour.server.web import add_page
from detour.traffic.departures import Departure
from detour.traffic.openings import Opening
from detour.xds.connection import Connection, DisconnectedEnvoy

_GONE_FOR = timedelta(hours=1)


def api(plane: ControlPlane, identities: Identities | None = None) -> FastAPI:
    """Return the API of a control plane.

    Args:
        plane: The control plane.
        identities: Authenticates callers; by default, it accepts programs on the server's own machine.
    """
    # The document's viewer is served from here, so it works without internet access.
    app = FastAPIOffline(
        docs_url=DOCS,
        redoc_url=None,
        static_url=f"{DOCS}/files",
        title="Detour",
        version=__version__,
        openapi_tags=TAGS,
        generate_unique_id_function=operation_id,
        responses=documented(*EVERYWHERE),
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
    describe(app)
    return app


def _add_health(app: FastAPI, plane: ControlPlane) -> None:
    @app.get("/healthz", tags=[Tag.SERVER])
    async def get_health() -> HealthOut:
        """Check that the server runs."""
        return HealthOut()

    @app.get("/readyz", tags=[Tag.SERVER], responses=documented(HTTPStatus.SERVICE_UNAVAILABLE))
    async def get_readiness() -> HealthOut:
        """Check whether the server serves Envoys: it does once it has read the whole mesh."""
        if not plane.is_ready:
            waiting = "; ".join(plane.failures) or "the mesh is being read"
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, f"Envoys are not served yet: {waiting}")
        return HealthOut()

    @app.get("/v1/status", tags=[Tag.SERVER])
    async def get_status() -> StatusOut:
        """Return the state of the server, and what each connected Envoy acknowledged and rejected."""
        return _status(plane)


def _status(plane: ControlPlane) -> StatusOut:
    return StatusOut(
        version=__version__,
        mesh_file=_mesh_file(plane),
        cluster=_cluster(plane),
        services=len(plane.mesh.services),
        deployments=len(plane.mesh.deployments),
        failures=plane.failures,
        overrides=switch_out(plane.switch.state),
        gone=[GoneOut.model_validate(one, from_attributes=True) for one in _gone(plane)],
        openings=[_opening(one) for one in plane.reports.openings.recent(time.time())],
        envoys=[_envoy(one) for one in sorted(plane.ads.connections, key=lambda one: one.node)],
        departures=[_departure(one) for one in plane.reports.departures.recent(time.time())],
    )


def _gone(plane: ControlPlane) -> list[DisconnectedEnvoy]:
    earliest = datetime.now(UTC) - _GONE_FOR
    return [one for one in plane.ads.disconnected.values() if one.since > earliest]


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
    found = _source(plane, StatusField.MESH_FILE)
    return MeshFileOut(path=found.location, problem="\n".join(found.problems) or None) if found else None


def _cluster(plane: ControlPlane) -> ClusterOut | None:
    found = _source(plane, StatusField.CLUSTER)
    return ClusterOut(namespaces=found.location, problems=list(found.problems)) if found else None


def _source(plane: ControlPlane, field: StatusField) -> Source | None:
    return next((one for one in plane.sources if one.status_field is field), None)


def _envoy(connection: Connection) -> EnvoyOut:
    session = connection.session
    return EnvoyOut(
        node=connection.node,
        service=connection.service,
        role=connection.role,
        version=connection.version,
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
