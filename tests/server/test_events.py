"""The stream of events, and its subscribers."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn

from detour.envoy import Sidecar, sidecar_bootstrap, start_envoy
from detour.server.api import api
from detour.server.events import Events, LiveEvent
from ports import free_port
from server.conftest import following


async def test_all_subscribers_receive_events():
    """In order; equal events only once."""
    events = Events()
    with events.subscribed() as first, events.subscribed() as second:
        for event in (LiveEvent("scenario", "a"), LiveEvent("mesh", "users"), LiveEvent("scenario", "a")):
            events.publish(event)
        for one in (first, second):
            assert list(await one.next(30)) == [LiveEvent("scenario", "a"), LiveEvent("mesh", "users")]
        assert len(events) == 2
    assert len(events) == 0


async def test_waiting_without_events():
    """Ends after the given time."""
    events = Events()
    with events.subscribed() as subscription:
        assert list(await subscription.next(0.01)) == []


@pytest.mark.parametrize("count", [63, 64, 65, 66])
async def test_64_events_wait_for_a_subscriber(count):
    """With one more, one event of each kind takes their place; later ones wait again."""
    events = Events()
    sent = [LiveEvent("scenario", f"s-{number}") for number in range(count)]
    with events.subscribed() as subscription:
        for event in sent:
            events.publish(event)
        expected = sent if count <= 64 else [LiveEvent("scenario"), *sent[65:]]
        assert list(await subscription.next(30)) == expected
        events.publish(LiveEvent("mesh", "users"))
        assert list(await subscription.next(30)) == [LiveEvent("mesh", "users")]


async def test_a_slow_subscriber():
    """Receives one event of each kind; its memory is bounded."""
    events = Events()
    with events.subscribed() as subscription:
        for number in range(10_000):
            events.publish(LiveEvent("scenario", f"s-{number}"))
        events.publish(LiveEvent("mesh", "users"))
        found = list(await subscription.next(30))
        assert len(found) <= 65
        assert {one.kind for one in found} == {"scenario", "mesh"}
        assert LiveEvent("scenario") in found


@asynccontextmanager
async def served(plane):
    """Serve the API on a port; httpx has no streams without one."""
    server = uvicorn.Server(uvicorn.Config(api(plane), port=0, log_config=None, lifespan="off", ws="none"))
    server.install_signal_handlers = lambda: None
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        server.force_exit = True
        await serving


@pytest.mark.parametrize(
    ("query", "expected"), [("", ["scenario", "mesh", "deployment"]), ("?kind=deployment&kind=x", ["deployment"])]
)
async def test_the_stream(plane, query, expected):
    """Sends changes of the requested kinds when they happen."""
    async with (
        served(plane) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http,
        http.stream("GET", f"/v1/events{query}") as stream,
    ):
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-store"
        lines = stream.aiter_lines()
        assert await anext(lines) == ": connected"
        body = {"overrides": {"route.users": "pr-42"}}
        await http.put("/v1/scenarios/a", json=body, headers={"if-none-match": "*"})
        await http.post("/v1/deployments", json={"service": "users", "name": "pr-42", "endpoints": []})
        found = []
        while expected[-1] not in found:
            line = await anext(lines)
            if line.startswith("event: "):
                found.append(line.removeprefix("event: "))
                data = await anext(lines)
        assert found == expected
        assert data == 'data: {"subject": "users@pr-42"}'


async def test_a_stream_with_a_duration(http):
    """Ends after the number of seconds that the client requested."""
    answer = await http.get("/v1/events?seconds=0")
    assert (answer.status_code, answer.text) == (200, ": connected\n\n")


async def test_connections_of_envoys_are_events(plane, tmp_path):
    """Each connection and each disconnection."""
    port = await plane.ads.start("127.0.0.1:0")
    sidecar = Sidecar("users", "users-1", None, free_port(), free_port(), free_port(), f"127.0.0.1:{port}")
    with plane.events.subscribed() as subscription:
        process = start_envoy(sidecar_bootstrap(sidecar), tmp_path / "envoy.log")
        try:
            assert list(await subscription.next(30)) == [LiveEvent("envoys")]
        finally:
            await process.stop()
        assert list(await subscription.next(30)) == [LiveEvent("envoys")]


async def test_a_mistake_in_the_mesh_file_is_an_event(plane, mesh_file):
    """When it appears, and when it is corrected; the mesh has not changed."""
    with plane.events.subscribed() as subscription:
        async with following(plane):
            for text in ("services: 1\n", mesh_file.read_text()):
                mesh_file.write_text(text)
                async with asyncio.timeout(20):
                    while LiveEvent("mesh") not in await subscription.next(1):
                        pass
