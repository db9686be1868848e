"""The gRPC services by which Envoys report, called by a client that is not an Envoy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from envoy.service.accesslog.v3 import als_pb2_grpc
from envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage
from envoy.service.load_stats.v3 import lrs_pb2_grpc
from envoy.service.load_stats.v3.lrs_pb2 import LoadStatsRequest

from detour.mesh import Mesh, Service
from detour.traffic.calls import Call
from detour.traffic.reports import Reports
from detour.xds.server import AdsServer


@asynccontextmanager
async def served(reports: Reports, namespace: str | None = "") -> AsyncIterator[grpc.aio.Channel]:
    """Serve reports to callers whose certificate speaks for a namespace; None for no valid certificate."""
    ads = AdsServer(Mesh.of([Service("users")]), lambda _: namespace, companion=reports)
    port = await ads.start("127.0.0.1:0")
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await ads.stop()


def loads(cluster: str) -> LoadStatsRequest:
    """Return the report of an Envoy that has called users once."""
    report = LoadStatsRequest()
    report.node.cluster = cluster
    stats = report.cluster_stats.add(cluster_name="users")
    stats.upstream_locality_stats.add(total_successful_requests=1)
    return report


def logs(cluster: str, trial: str) -> StreamAccessLogsMessage:
    """Return the log of an Envoy that has sent a request of a trial."""
    message = StreamAccessLogsMessage()
    message.identifier.node.cluster = cluster
    message.http_logs.log_entry.add().request.request_headers["baggage"] = f"override.config.detour.try={trial}"
    return message


async def forever(message):
    """Send a message, and then nothing more."""
    yield message
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("cluster", "namespace", "code"),
    [
        ("rides", None, grpc.StatusCode.PERMISSION_DENIED),
        ("not a name", "", grpc.StatusCode.INVALID_ARGUMENT),
        ("", "", grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_unknown_nodes_are_refused(cluster, namespace, code):
    """Their reports are ignored."""
    reports = Reports()
    with reports.trials.begun(lambda: None) as trial:
        async with served(reports, namespace) as channel:
            counting = lrs_pb2_grpc.LoadReportingServiceStub(channel).StreamLoadStats(forever(loads(cluster)))
            assert await counting.code() == code
            logging = als_pb2_grpc.AccessLogServiceStub(channel).StreamAccessLogs(forever(logs(cluster, trial.id)))
            assert await logging.code() == code
    assert (trial.hops, reports.calls.recent(0)) == ([], [])


async def test_what_is_reported_counts():
    """For the namespace that is verified; streams that end are forgotten."""
    reports = Reports()
    with reports.trials.begun(lambda: None) as trial:
        async with served(reports) as channel:
            counting = lrs_pb2_grpc.LoadReportingServiceStub(channel).StreamLoadStats(iter([loads("rides")] * 3))
            (wanted,) = [one async for one in counting]
            assert wanted.send_all_clusters  # no such Envoy asks this server for its clusters
            entries = iter([logs("rides", trial.id), logs("rides", "x"), StreamAccessLogsMessage()])
            await als_pb2_grpc.AccessLogServiceStub(channel).StreamAccessLogs(entries)
    ((call, requests, errors, _),) = reports.calls.recent(0)
    assert (call, requests, errors) == (Call("rides", None, "users", None), 3, 0)
    assert [one.caller for one in trial.hops] == ["rides"]
    assert reports._loads == set()


async def test_a_server_that_ends():
    """Ends open streams in good order."""
    reports = Reports()

    async with served(reports) as channel:
        counting = lrs_pb2_grpc.LoadReportingServiceStub(channel).StreamLoadStats(forever(loads("rides")))
        logging = als_pb2_grpc.AccessLogServiceStub(channel).StreamAccessLogs(forever(logs("rides", "x")))
        await counting.read()
        reports.end()
        assert await logging.code() == await counting.code() == grpc.StatusCode.OK
