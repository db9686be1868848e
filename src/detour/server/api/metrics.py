"""The server's metrics for Prometheus (Prometheus, "Exposition formats")."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Response
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detour import __version__
from detour.mesh import OffloadedDeployment
from detour.server.api.operations import Tag
from detour.server.control_plane import ControlPlane

_NO_OPERATION: Final = "(none)"
"""The label for paths without an operation, so that arbitrary paths from clients do not become labels."""
_STREAMS: Final = frozenset({"/v1/events", "/v1/deployments/{service}/{name}/log"})
"""Paths of streams: the client decides how long they last, so their durations are not measured."""


def add_metrics(app: FastAPI, plane: ControlPlane) -> None:
    """Add the operations to an API."""
    registry = CollectorRegistry()
    registry.register(_State(plane))
    seconds = Histogram(
        "detour_http_request_seconds",
        "Time from a request to the end of its response.",
        ("method", "path", "status"),
        registry=registry,
    )
    app.add_middleware(_Timed, seconds=seconds)

    @app.get(
        "/metrics",
        tags=[Tag.SERVER],
        response_class=Response,
        responses={HTTPStatus.OK.value: {"content": {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}}}},
    )
    async def get_metrics() -> Response:
        """Return the server's metrics, in the format of Prometheus."""
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})


class _Timed:
    """Measures the duration of each request."""

    def __init__(self, app: ASGIApp, seconds: Histogram) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), HTTPStatus.INTERNAL_SERVER_ERROR.value

        async def record_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, record_status)
        finally:
            path = getattr(scope.get("route"), "path", _NO_OPERATION)
            if path not in _STREAMS:
                self._seconds.labels(scope["method"], path, status).observe(time.perf_counter() - began)


class _State(Collector):
    """The state of a control plane, read at each scrape."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    def collect(self) -> Iterator[Metric]:
        """Yield the current value of every metric."""
        plane = self._plane
        yield _gauge("detour_info", "The server's version.", {(__version__,): 1}, "version")
        yield _gauge("detour_ready", "Whether Envoys are served.", {(): int(plane.is_ready)})
        yield _gauge("detour_services", "Services of the mesh.", {(): len(plane.mesh.services)})
        is_off = int(plane.switch.state.is_off)
        yield _gauge("detour_overrides_off", "Whether the whole mesh ignores overrides.", {(): is_off})
        sources = Counter((_source(plane, one),) for one in plane.mesh.deployments.values())
        yield _gauge("detour_deployments", "Offloaded deployments of the mesh.", sources, "source")
        roles = Counter((one.role,) for one in plane.ads.connections)
        yield _gauge("detour_envoys", "Envoys that are connected.", roles, "role")
        disconnected = len(plane.ads.disconnected)
        yield _gauge("detour_envoys_gone", "Envoys that disconnected and have not reconnected.", {(): disconnected})
        opened: Counter[tuple[str]] = Counter()
        for opening in plane.reports.openings.recent(time.time()):
            opened[opening.service,] += opening.requests
        what = (
            "Requests that sidecars sent past the mesh in the last hour because the control plane did not answer."
        )
        yield _gauge("detour_openings", what, opened, "service")
        rejections = sum(len(one.session.rejections) for one in plane.ads.connections)
        yield _gauge("detour_rejections", "Resources that a connected Envoy has rejected.", {(): rejections})
        pending = sum(one.session.pending for one in plane.ads.connections)
        yield _gauge(
            "detour_pending", "Responses that Envoys have neither acknowledged nor rejected yet.", {(): pending}
        )
        problems = len(plane.failures) + sum(len(source.problems) for source in plane.sources)
        yield _gauge("detour_problems", "Current problems; detour status lists them.", {(): problems})
        yield _gauge("detour_event_streams", "Clients of the event stream.", {(): len(plane.events)})
        departures: Counter[tuple[str]] = Counter()
        for one in plane.reports.departures.recent(time.time()):
            departures[one.caller,] += one.requests
        yield _gauge(
            "detour_departures",
            "Requests with overrides that left the mesh in the last hour; overrides have no effect outside.",
            departures,
            "caller",
        )
        if plane.book:
            now = datetime.now(UTC)
            states = Counter((one.state(now).value,) for one in plane.book.rows.values())
            yield _gauge("detour_scenarios", "Scenarios by state.", states, "state")
            yield _gauge("detour_changes", "Changes in the log.", {(): plane.book.database.revision})


def _source(plane: ControlPlane, deployment: OffloadedDeployment) -> str:
    source = plane.deployments.source_of(deployment)
    return source.name if source else ""


def _gauge(name: str, what: str, values: Mapping[tuple[Any, ...], int], *labels: str) -> Metric:
    made = GaugeMetricFamily(name, what, labels=labels)
    for key, value in values.items():
        made.add_metric(list(key), value)
    return made
