"""What real Envoys report: loads of each cluster, and the hops of a request that somebody tries."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from detour.mesh import OffloadedDeployment, Protocol, Service, ServiceApplied
from detour.traffic.calls import Call
from detour.traffic.hops import Hop, parents
from detour.traffic.reports import Reports
from parts import Client, MeshUnderTest, application, edge_of, grpc_instance, http_instance, running_mesh


@pytest.fixture
def reports() -> Reports:
    """Return what takes the reports, and somebody wants to see."""
    made = Reports()
    made.look()
    return made


@pytest.fixture
async def mesh(tmp_path: Path, reports: Reports):
    """Run a mesh: users (with pr-42), and greeter (gRPC)."""
    async with AsyncExitStack() as stack:
        start = stack.enter_async_context
        users, offloaded = await start(http_instance("users-1")), await start(http_instance("users-pr-42"))
        greeter = await start(grpc_instance("greeter-1"))
        services = [Service("users", (users,)), Service("greeter", (greeter,), Protocol.HTTP2), Service("nobody")]
        deployments = [OffloadedDeployment("users", "pr-42", (offloaded,))]
        settings = edge_of(any="web")
        yield await start(running_mesh(tmp_path, services, deployments, settings, companion=reports))


async def add_web(mesh: MeshUnderTest) -> None:
    """Add the service web, which calls users through its own sidecar and hands on the baggage."""
    client: Client = await mesh.sidecar(service="web", instance="web-1")

    async def answer(request: Request) -> JSONResponse:
        lines = {"baggage": ",".join(request.headers.getlist("baggage"))}
        called = await client.get("http://users/me", headers=lines)
        return JSONResponse({"called": called.text}, called.status_code)

    endpoint = await mesh.stack.enter_async_context(application(Starlette(routes=[Route("/{path:path}", answer)])))
    mesh.apply(ServiceApplied(Service("web", (endpoint,))))


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


def numbers(reports: Reports) -> dict[Call, tuple[int, int]]:
    """Return requests and errors by call."""
    return {one.call: (one.requests, one.errors) for one in reports.calls.recent(time.time())}


async def test_every_call_is_counted(mesh: MeshUnderTest, reports: Reports) -> None:
    """From the very first one, for the deployment that served it; on an edge as on a sidecar."""
    await add_web(mesh)
    caller = await mesh.sidecar(service="rides", deployment="pr-9")
    edge = await mesh.edge(trust_overrides=True)
    await caller.get("http://users/")
    for value in ("pr-42", "pr-42", "gone"):
        baggage = f"override.route.users={value},override.missing=baseline"
        assert (await caller.get("http://users:80/", headers={"baggage": baggage})).status_code == 200
    await edge.get("/")
    assert (await edge.get("/", headers={"baggage": "override.route.users=gone"})).status_code == 503
    expected = {
        Call("rides", "pr-9", "users", None): (2, 0),
        Call("rides", "pr-9", "users", "pr-42"): (2, 0),
        Call("edge", None, "web", None): (2, 1),
        Call("web", None, "users", None): (1, 0),
    }
    await until(lambda: sum(requests for requests, _ in numbers(reports).values()) == 7)
    assert numbers(reports) == expected


async def test_a_deployment_that_comes_later_is_counted_at_once(mesh: MeshUnderTest, reports: Reports) -> None:
    """Also if somebody asked for it before it was there."""
    caller = await mesh.sidecar(service="rides")
    headers = {"baggage": "override.route.users=late"}
    assert (await caller.get("http://users/", headers=headers)).status_code == 503
    async with http_instance("users-late") as endpoint:
        mesh.register("users", "late", endpoint)
        await caller.until("http://users/", lambda one: one.status_code == 200, headers=headers)
        await until(lambda: numbers(reports) == {Call("rides", None, "users", "late"): (1, 0)})


async def tried(
    mesh: MeshUnderTest, reports: Reports, client: httpx.AsyncClient, words: str, count: int
) -> list[Hop]:
    """Try a request, and return its hops, in order, when there are so many."""
    with reports.trials.begun(lambda: None) as trial:
        await client.get("/rides?a=1", headers={"baggage": f"a=1,override.config.detour.try={trial.id},{words}"})
        await until(lambda: len(trial.hops) == count)
        return sorted(trial.hops, key=lambda one: one.start)


async def test_the_hops_of_a_request(mesh: MeshUnderTest, reports: Reports) -> None:
    """Each with who sent it, who served it, and what became of it; each below the one that it came of."""
    await add_web(mesh)
    edge = await mesh.edge(trust_overrides=True)
    first, second = await tried(mesh, reports, edge, "override.route.users=pr-42", 2)
    assert (first.caller, first.caller_instance, first.by_edge) == ("edge", "edge", True)
    assert (first.service, first.deployment, first.served_by) == ("web", None, "web")
    assert (first.method, first.path, first.status, first.grpc_status) == ("GET", "/rides?a=1", 200, None)
    assert (second.caller, second.caller_instance, second.path) == ("web", "web-1", "/me")
    assert (second.service, second.deployment, second.served_by) == ("users", "pr-42", "users@pr-42")
    assert 0 < second.seconds < first.seconds
    assert parents([first, second]) == [None, 0]
    assert first.why == second.why == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("override.route.users=gone", ("gone", None, 503, "no instance is ready")),
        ("override.route.users=gone,override.missing=baseline", (None, "users", 200, "")),
        ("override.abort.users=418", (None, None, 418, "an override made it fail")),
        ("override.delay.users=1ms", (None, "users", 200, "an override delayed it")),
    ],
)
async def test_what_happened_on_a_hop(mesh, reports, words, expected) -> None:
    """Is said in words."""
    await add_web(mesh)
    edge = await mesh.edge(trust_overrides=True)
    hop = (await tried(mesh, reports, edge, words, 2))[1]
    assert hop.service == "users"
    assert (hop.deployment, hop.served_by, hop.status, hop.why) == expected


async def test_hops_of_other_kinds(mesh: MeshUnderTest, reports: Reports) -> None:
    """Such as gRPC through a tunnel, a host outside the mesh, and one that is nowhere."""
    caller = await mesh.sidecar(service="rides", deployment="pr-9")
    async with http_instance("outside") as outside:
        with reports.trials.begun(lambda: None) as trial:
            mark = f"override.config.detour.try={trial.id}"
            options = [("grpc.http_proxy", f"http://127.0.0.1:{caller.port}")]
            async with grpc.aio.insecure_channel("greeter:80", options) as channel:
                await channel.unary_unary("/test.Echo/Unary")(b"x", metadata=(("baggage", mark),))
            await caller.get(f"http://{outside}/", headers={"baggage": mark})
            await caller.get("http://nobody/", headers={"baggage": mark})
            await until(lambda: len(trial.hops) == 3)
    called, out, nowhere = sorted(trial.hops, key=lambda one: one.start)
    assert (called.service, called.served_by, called.grpc_status) == ("greeter", "greeter", 0)
    assert (called.method, called.path, called.caller_deployment) == ("POST", "/test.Echo/Unary", "pr-9")
    assert (out.service, out.served_by, out.status) == ("127.0.0.1", None, 200)
    assert (nowhere.service, nowhere.status, nowhere.why) == ("nobody", 503, "no instance is ready")


async def test_nothing_else_is_reported(mesh: MeshUnderTest, reports: Reports) -> None:
    """No request without the mark, with another trial's, or whose mark an edge does not believe."""
    await add_web(mesh)
    edge, strict = [await mesh.edge(trust_overrides=trusts) for trusts in (True, False)]
    with reports.trials.begun(lambda: None) as over:
        pass
    with reports.trials.begun(lambda: None) as trial:
        for client, mark in ((edge, "a=1"), (edge, over.id), (strict, trial.id), (edge, trial.id)):
            await client.get("/", headers={"baggage": f"override.config.detour.try={mark}"})
        await until(lambda: trial.has_edge and len(trial.hops) == 2)
    assert over.hops == []


async def test_who_looks_is_told_soon(tmp_path: Path) -> None:
    """Where nobody does, Envoys seldom report; what they counted until then is not lost."""
    unseen = Reports()
    async with (
        http_instance("users-1") as users,
        running_mesh(tmp_path, [Service("users", (users,))], companion=unseen) as mesh,
    ):
        caller = await mesh.sidecar(service="rides")
        await caller.get("http://users/")
        assert [one.requested.load_reporting_interval.seconds for one in unseen._loads] == [10]
        unseen.look()
        await until(lambda: numbers(unseen) == {Call("rides", None, "users", None): (1, 0)})


async def test_overrides_that_leave_the_mesh_are_reported(mesh: MeshUnderTest, reports: Reports) -> None:
    """By caller and host, with the service that the host looks like; the answer says that they had no effect."""
    caller = await mesh.sidecar(service="rides", deployment="pr-9")
    async with http_instance("elsewhere") as endpoint:
        override = {"baggage": "override.route.users=pr-42,theirs=kept"}
        for name in ("users.localhost", "else.localhost", "else.localhost"):
            answer = await caller.get(f"http://{name}:{endpoint.port}/", headers=override)
            assert answer.headers["x-detour-overrides"] == f"removed: {name}:{endpoint.port} is outside the mesh"
            assert ["baggage", "theirs=kept"] in answer.json()["headers"]
        plain = await caller.get(f"http://else.localhost:{endpoint.port}/", headers={"baggage": "theirs=kept"})
        assert "x-detour-overrides" not in plain.headers
        await until(lambda: sum(one.requests for one in reports.departures.recent(time.time())) == 3)
    found = {one.host: one for one in reports.departures.recent(time.time())}
    other, users = found[f"else.localhost:{endpoint.port}"], found[f"users.localhost:{endpoint.port}"]
    assert (other.caller, other.requests, other.overridden, other.suspected) == ("rides@pr-9", 2, ("users",), "")
    assert (users.requests, users.suspected) == (1, "users")
