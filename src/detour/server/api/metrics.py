"""What Prometheus reads of a server (Prometheus, "Exposition formats")."""

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
from detour.server.api.operations import Tag
from detour.server.control_plane import ControlPlane

_NOWHERE: Final = "(none)"
"""The path of requests that no operation answers: paths that clients make up do not become labels."""
_ENDLESS: Final = frozenset({"/v1/events", "/v1/deployments/{service}/{name}/log"})
"""Answers that last as long as the client likes: their time says nothing about the server."""


def add_metrics(app: FastAPI, plane: ControlPlane) -> None:
    """Add them to an API."""
    registry = CollectorRegistry()
    registry.register(_State(plane))
    seconds = Histogram(
        "detour_http_request_seconds",
        "Time from a request to the end of its answer.",
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
    """Measures how long each answer takes."""

    def __init__(self, app: ASGIApp, seconds: Histogram) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), HTTPStatus.INTERNAL_SERVER_ERROR.value

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            path = getattr(scope.get("route"), "path", _NOWHERE)
            if path not in _ENDLESS:
                self._seconds.labels(scope["method"], path, status).observe(time.perf_counter() - began)


class _State(Collector):
    """What a control plane knows, read when it is asked."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    def collect(self) -> Iterator[Metric]:
        """Give every number as it is."""
        plane = self._plane
        yield _gauge("detour_info", "The server's version.", {(__version__,): 1}, "version")
        yield _gauge("detour_ready", "Whether Envoys are served.", {(): int(plane.is_ready)})
        yield _gauge("detour_services", "Services of the mesh.", {(): len(plane.mesh.services)})
        is_off = int(plane.switch.state.is_off)
        yield _gauge("detour_overrides_off", "Whether the whole mesh ignores overrides.", {(): is_off})
        sources = Counter((plane.deployments.source_name(one),) for one in plane.mesh.deployments.values())
        yield _gauge("detour_deployments", "Offloaded deployments of the mesh.", sources, "source")
        roles = Counter((one.role,) for one in plane.ads.connections)
        yield _gauge("detour_envoys", "Envoys that are connected.", roles, "role")
        yield _gauge("detour_envoys_gone", "Envoys that went and have not come back.", {(): len(plane.ads.gone)})
        opened: Counter[tuple[str]] = Counter()
        for opening in plane.reports.openings.recent(time.time()):
            opened[opening.service,] += opening.requests
        what = "Requests that sidecars sent past the mesh within an hour, because the control plane did not answer."
        yield _gauge("detour_openings", what, opened, "service")
        rejections = sum(len(one.session.rejections) for one in plane.ads.connections)
        yield _gauge("detour_rejections", "Resources that a connected Envoy has refused.", {(): rejections})
        pending = sum(one.session.pending for one in plane.ads.connections)
        yield _gauge("detour_pending", "Responses that no Envoy has acknowledged or refused yet.", {(): pending})
        problems = len(plane.failures) + sum(len(source.problems) for source in plane.sources)
        yield _gauge("detour_problems", "What does not work at the moment: detour status tells.", {(): problems})
        yield _gauge("detour_event_streams", "Clients that listen for changes.", {(): len(plane.events)})
        departures: Counter[tuple[str]] = Counter()
        for one in plane.reports.departures.recent(time.time()):
            departures[one.caller,] += one.requests
        yield _gauge(
            "detour_departures",
            "Requests with overrides that left the mesh within an hour, where overrides have no effect.",
            departures,
            "caller",
        )
        if plane.book:
            now = datetime.now(UTC)
            states = Counter((one.state(now).value,) for one in plane.book.rows.values())
            yield _gauge("detour_scenarios", "Scenarios by state.", states, "state")
            yield _gauge("detour_changes", "Changes in the log.", {(): plane.book.database.revision})


def _gauge(name: str, what: str, values: Mapping[tuple[Any, ...], int], *labels: str) -> Metric:
    made = GaugeMetricFamily(name, what, labels=labels)
    for key, value in values.items():
        made.add_metric(list(key), value)
    return made
