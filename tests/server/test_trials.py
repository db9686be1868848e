"""Trials through the API, on a real edge with real sidecars behind it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from detour.access import ForbiddenError, Identity, Role, Via
from detour.mesh import Endpoint, Mesh, OffloadedDeployment, Service, Settings
from detour.overrides import Overrides, parse_words
from detour.server import ControlPlane
from detour.server import trials as module
from detour.server.edge_client import Answer, EdgeUnreachableError, TrialRequest
from detour.server.trials import NoEdgeError, Outcome, TrialOperations, attempt, by_baggage, with_trial_id
from detour.traffic.hops import Hop
from detour.traffic.trials import HOPS_MAX, TRIALS_MAX, TooManyTrialsError, Trial, Trials
from parts import MeshUnderTest, application, http_instance
from server.conftest import following

CLOSED_PORT = 1
"""A port that nothing listens on."""

MESH = """\
edge:
  hosts: {{staging.example.test: web}}
  previews: {{preview.example.test: web}}
  url: {url}
services:
  web: {{endpoints: ["{web}"]}}
  users:
    endpoints: ["{users}"]
    deployments:
      pr-42: {{endpoints: ["{offloaded}"]}}
"""


@dataclass
class Running:
    """A running mesh, its control plane's API, and the last request that the service web received."""

    mesh: MeshUnderTest
    http: httpx.AsyncClient
    plane: ControlPlane
    file: Path
    parts: dict[str, Endpoint]
    last: list[Request]
    url: str = ""

    async def edge(self, *, trusts: bool = True) -> None:
        """Start an edge."""
        await self.edge_at((await self.mesh.edge(trust_overrides=trusts)).port)

    async def edge_at(self, port: int) -> None:
        """Say in the mesh file where the edge is."""
        self.url = f"http://127.0.0.1:{port}"
        self.file.write_text(MESH.format(url=self.url, **self.parts))
        await until(lambda: self.plane.mesh.settings.edge_url == self.url)

    async def attempt(self, **body: object) -> dict:
        """Try a request, by default on the mesh's own host."""
        answer = await self.http.post("/v1/trials", json={"host": "staging.example.test", **body})
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def running(plane: ControlPlane, http, mesh_file: Path, tmp_path: Path) -> AsyncIterator[Running]:
    """Run web, which calls users through its own sidecar, and users with its deployment; an edge is added later."""
    async with AsyncExitStack() as stack:
        mesh = MeshUnderTest(plane.ads, await plane.ads.start("127.0.0.1:0"), tmp_path, stack)
        client = await mesh.sidecar(service="web", instance="web-1")
        last: list[Request] = []

        async def answer(request: Request) -> Response:
            last.append(request)
            if request.url.path == "/long":
                return PlainTextResponse("é" * 20_000)
            lines = {"baggage": ",".join(request.headers.getlist("baggage"))}
            called = await client.get("http://users/me", headers=lines)
            body = {"said": (await request.body()).decode(), "called": called.text}
            return JSONResponse(body, called.status_code, {"set-cookie": "a=secret", "x-own": "1"})

        every = ["GET", "POST"]
        app = Starlette(routes=[Route("/{path:path}", answer, methods=every)])
        parts = {
            "web": await stack.enter_async_context(application(app)),
            "users": await stack.enter_async_context(http_instance("users-1")),
            "offloaded": await stack.enter_async_context(http_instance("users-pr-42")),
        }
        await stack.enter_async_context(following(plane))
        made = Running(mesh, http, plane, mesh_file, parts, last)
        await made.edge_at(CLOSED_PORT)
        yield made


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


async def test_each_hop_is_reported(running: Running) -> None:
    """Caller, service, server, duration and parent."""
    await running.edge()
    tried = await running.attempt(overrides={"route.users": "pr-42"}, path="/rides?a=1")
    assert (tried["status"], tried["note"], tried["truncated"]) == (200, "", False)
    assert tried["url"] == "http://staging.example.test/rides?a=1"
    assert "users-pr-42" in tried["body"]
    assert tried["headers"]["x-own"] == "1"
    assert "set-cookie" not in tried["headers"]
    first, second = tried["hops"]
    assert (first["caller"], first["service"], first["served_by"]) == ("edge", "web", "web")
    assert (first["method"], first["path"], first["status"]) == ("GET", "/rides?a=1", 200)
    assert (first["parent"], first["offset_ms"], second["parent"]) == (None, 0, 0)
    assert (second["caller"], second["caller_instance"], second["path"]) == ("web", "web-1", "/me")
    assert (second["service"], second["deployment"], second["served_by"]) == ("users", "pr-42", "users@pr-42")
    assert 0 < second["duration_ms"] < first["duration_ms"] <= tried["duration_ms"] * 2
    assert tried["expected"] == [{"service": "users", "deployment": "pr-42", "reached": True}]


async def test_the_sent_request(running: Running) -> None:
    """Has the requested method, headers and body, except for connection headers."""
    await running.edge()
    headers = {"X-Own": "2", "Host": "evil.test", "Content-Length": "1000", "Transfer-Encoding": "chunked"}
    tried = await running.attempt(method="POST", path="/a", headers=headers, body="hällo")
    assert '"said":"hällo"' in tried["body"]
    assert running.last[-1].headers["x-own"] == "2"
    assert running.last[-1].headers["host"] == "staging.example.test"
    assert running.plane.reports.trials._under_way == {}


async def test_deployments_that_were_not_reached(running: Running) -> None:
    """A service that was never called, and a deployment that no longer exists."""
    await running.edge()
    tried = await running.attempt(overrides={"route.users": "gone", "route.payments": "pr-1"})
    assert tried["status"] == 503
    assert tried["hops"][1]["why"] == "no instance is ready"
    assert [one["reached"] for one in tried["expected"]] == [False, False]
    assert "users=gone: users has no deployment gone" in tried["note"]
    typo = await running.attempt(overrides={"override.route.user": "pr-42"})
    assert "user=pr-42: the mesh has no service user; did you mean users=pr-42?" in typo["note"]


async def test_an_edge_that_trusts_only_tokens(running: Running) -> None:
    """Accepts the server's own signature."""
    await running.edge(trusts=False)
    tried = await running.attempt(overrides={"route.users": "pr-42"})
    assert tried["note"] == ""
    assert [(hop["caller"], hop["served_by"]) for hop in tried["hops"]] == [("edge", "web"), ("web", "users@pr-42")]
    assert "x-detour-token" not in running.last[-1].headers


async def test_an_edge_without_keys(running: Running) -> None:
    """The first hop is known from its response; the note says that the others are missing."""
    running.plane.trials.headers_for = by_baggage
    await running.edge(trusts=False)
    tried = await running.attempt(overrides={"route.users": "pr-42"})
    assert "does not trust" in tried["note"]
    assert "had no effect" in tried["note"]
    (hop,) = tried["hops"]
    assert (hop["caller"], hop["service"], hop["status"], hop["parent"]) == ("edge", "web", 200, None)
    assert tried["expected"] == [{"service": "users", "deployment": "pr-42", "reached": None}]


@pytest.mark.parametrize("trusts", [True, False])
async def test_in_a_scenario(running: Running, *, trusts: bool) -> None:
    """The edge adds its overrides, and their deployments are among the expected ones."""
    await running.edge(trusts=trusts)
    body = {"overrides": {"route.users": "pr-42"}}
    assert (await running.http.put("/v1/scenarios/checkout", json=body, headers={"if-none-match": "*"})).is_success

    async def is_known() -> dict:
        while (tried := await running.attempt(scenario="checkout"))["status"] == 404:
            pass
        return tried

    async with asyncio.timeout(20):
        tried = await is_known()
    assert tried["headers"]["x-detour-scenario"] == "checkout"
    assert [one["served_by"] for one in tried["hops"]] == ["web", "users@pr-42"]
    assert tried["expected"] == [{"service": "users", "deployment": "pr-42", "reached": True}]
    answer = await running.http.post("/v1/trials", json={"scenario": "unknown"})
    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")


async def test_headers_with_which_an_edge_accepts_overrides(running: Running) -> None:
    """The control plane chooses them, from overrides with the trial's id."""
    await running.edge()
    running.plane.trials.headers_for = lambda overrides: {**by_baggage(overrides), "x-token": str(len(overrides))}
    tried = await running.attempt(overrides={"route.users": "pr-42"})
    assert running.last[-1].headers["x-token"] == "2"
    assert len(tried["hops"]) == 2


async def test_a_long_response(running: Running) -> None:
    """Is cut off after 16 kB."""
    await running.edge()
    tried = await running.attempt(path="/long")
    assert (tried["truncated"], len(tried["body"].encode())) == (True, 16 * 1024)


async def test_hosts(running: Running) -> None:
    """Hosts that the edge serves are sent; all others are replaced by the edge's own."""
    await running.edge()
    for host in ("preview.example.test", "staging.example.test:8443", "STAGING.example.test:99999"):
        assert (await running.attempt(host=host))["status"] == 200
    for host in ("169.254.169.254", "users", "staging.example.test@evil.test", "a b", "\r\nx: y", "", None):
        tried = await running.attempt(host=host)
        assert (tried["url"], tried["status"]) == (f"{running.url}/", 404)


async def test_without_an_edge(running: Running) -> None:
    """The error says what is missing: an edge at the address, or the address."""
    answer = await running.http.post("/v1/trials", json={})
    assert (answer.status_code, answer.json()["title"]) == (502, "Bad Gateway")
    assert f"no edge answers at {running.url}" in answer.json()["detail"]


async def test_without_the_address_of_an_edge(http) -> None:
    """The error says what to add to the mesh file."""
    answer = await http.post("/v1/trials", json={})
    assert (answer.status_code, answer.json()["title"]) == (409, "Conflict")
    assert "edge: {url:" in answer.json()["detail"]
    for body in (
        {"path": "evil.test"},
        {"path": "/\r\n"},
        {"method": "CONNECT"},
        {"headers": {"a b": "c"}},
        {"x": 1},
    ):
        assert (await http.post("/v1/trials", json=body)).status_code == 422
    long = {f"config.f{number}": "x" * 1000 for number in range(9)}
    assert (await http.post("/v1/trials", json={"overrides": long})).status_code == 422


async def test_calls(running: Running) -> None:
    """Are listed, and subscribers receive an event."""
    await running.edge()
    with running.plane.events.subscribed() as subscription:
        await running.attempt(overrides={"route.users": "pr-42"})
        async with asyncio.timeout(20):
            while not {one.kind for one in await subscription.next(20)} & {"calls"}:
                pass
    async with asyncio.timeout(20):
        while len(found := (await running.http.get("/v1/calls")).json()["items"]) < 2:
            await asyncio.sleep(0.01)
    assert all(one.pop("last").endswith("Z") for one in found)
    plain = {"caller_deployment": None, "requests": 1, "errors": 0}
    assert found == [
        {"caller": "edge", "service": "web", "deployment": None, **plain},
        {"caller": "web", "service": "users", "deployment": "pr-42", **plain},
    ]


HOP = Hop(
    caller="web",
    caller_deployment=None,
    caller_instance="web-1",
    service="users",
    deployment="pr-42",
    served_by="users@pr-42",
    method="GET",
    path="/me",
    status=200,
    grpc_status=None,
    why="",
    start=1000.0,
    seconds=0.1,
    by_edge=False,
)
BY_EDGE = replace(HOP, caller="edge", service="web", deployment=None, served_by="web", by_edge=True)

Answering = Callable[[Request, Trial], Awaitable[Response]]


@asynccontextmanager
async def edge(
    trials: Trials, answer: Answering, settings: Settings | None = None
) -> AsyncIterator[tuple[Mesh, list[Request]]]:
    """Run a stand-in for an edge that may report hops; yield a mesh that names it."""
    seen: list[Request] = []

    async def take(request: Request) -> Response:
        seen.append(request)
        name = request.headers["baggage"].partition("detour.try=")[2].partition(",")[0]
        return await answer(request, trials.find(name))

    routes = [Route("/{path:path}", take, methods=["GET", "POST"])]
    async with application(Starlette(routes=routes)) as at:
        known = replace(settings or Settings(), edge_url=f"http://{at}")
        users = OffloadedDeployment("users", "pr-42", (at,))
        yield Mesh.of([Service("web", (at,)), Service("users", (at,))], [users], known), seen


def reporting(*hops: Hop) -> Answering:
    """Return a handler that reports hops before it responds."""

    async def answer(_request: Request, trial: Trial) -> Response:
        for hop in hops:
            trial.take(hop)
        return PlainTextResponse("fine", 201, {"x-detour-served-by": "web@pr-7"})

    return answer


def outcome(*hops: Hop, saw_hops: bool = True) -> Outcome:
    """Return the outcome of a trial."""
    return Outcome("1", Answer("http://a/", "a", 200, 0.1, "", truncated=False, headers={}), hops, saw_hops, "")


def test_a_deployment_was_reached_if_an_envoy_reports_it() -> None:
    """For that service; if hops may be missing, the result is unknown."""
    assert outcome(HOP).reached("users", "pr-42") is True
    assert outcome(BY_EDGE, HOP, saw_hops=False).reached("users", "pr-42") is True
    for other in (
        replace(HOP, served_by="users"),
        replace(HOP, served_by=None),
        replace(HOP, served_by="users@pr-43"),
        replace(HOP, service="payments"),
        replace(HOP, served_by="payments@pr-42"),
    ):
        assert outcome(other).reached("users", "pr-42") is False
        assert outcome(other, saw_hops=False).reached("users", "pr-42") is None
    assert outcome().reached("users", "pr-42") is False


def test_the_id_of_a_trial_replaces_another_one() -> None:
    """All other overrides stay."""
    overrides = parse_words(["users=pr-42", "config.detour.try=mine"])
    assert with_trial_id(overrides, "own") == parse_words(["users=pr-42", "config.detour.try=own"])
    assert by_baggage(with_trial_id(Overrides(), "own")) == {"baggage": "override.config.detour.try=own"}


async def test_hops_are_ordered_by_time() -> None:
    """Of two that start together, the longer one is first: it caused the other."""
    trials = Trials()
    late, short = replace(HOP, start=1001.0), replace(HOP, seconds=0.05)
    async with edge(trials, reporting(late, short, HOP, replace(BY_EDGE, start=999.0))) as (mesh, seen):
        found = await attempt(TrialRequest(parse_words(["users=pr-42"])), mesh, trials, lambda: True)
    assert list(found.hops) == [replace(BY_EDGE, start=999.0), HOP, short, late]
    assert (found.saw_hops, found.note, found.answer.status) == (True, "", 201)
    (request,) = seen
    assert request.headers["baggage"] == f"override.route.users=pr-42,override.config.detour.try={found.id}"
    assert trials.find(found.id) is None


async def test_hops_may_arrive_after_the_response(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trial waits for the edge's report, then for others, anew after each."""
    monkeypatch.setattr(module, "_HOPS_SECONDS", 20)
    monkeypatch.setattr(module, "_QUIET_SECONDS", 1)
    trials, tasks = Trials(), set()

    async def later(trial: Trial) -> None:
        for hop in (HOP, BY_EDGE, HOP, HOP):
            await asyncio.sleep(0.2)
            trial.take(hop)

    async def answer(_request: Request, trial: Trial) -> Response:
        tasks.add(asyncio.create_task(later(trial)))
        return PlainTextResponse("fine")

    async with edge(trials, answer) as (mesh, _):
        found = await attempt(TrialRequest(), mesh, trials, lambda: True)
    assert (len(found.hops), found.saw_hops) == (4, True)


async def test_waiting_for_hops_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the edge does not report, or others never stop."""
    monkeypatch.setattr(module, "_HOPS_SECONDS", 0.3)
    monkeypatch.setattr(module, "_QUIET_SECONDS", 0.2)
    trials, tasks = Trials(), set()

    async def on_and_on(trial: Trial) -> None:
        trial.take(BY_EDGE)
        while True:
            trial.take(HOP)
            await asyncio.sleep(0.02)

    async def answer(_request: Request, trial: Trial) -> Response:
        tasks.add(asyncio.create_task(on_and_on(trial)))
        return PlainTextResponse("fine")

    async with asyncio.timeout(20):
        async with edge(trials, answer) as (mesh, _):
            assert (await attempt(TrialRequest(), mesh, trials, lambda: True)).saw_hops
        for task in tasks:
            task.cancel()
        async with edge(trials, reporting(HOP)) as (mesh, _):
            found = await attempt(TrialRequest(), mesh, trials, lambda: True)
    assert not found.saw_hops
    assert len(found.hops) == 2


async def test_the_number_of_hops_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """300 hops of one request, the edge's own among them; the note says how many are missing."""
    monkeypatch.setattr(module, "_QUIET_SECONDS", 0.01)
    trials = Trials()
    for more, note in ((HOPS_MAX - 1, ""), (HOPS_MAX + 1, "2 more hops are not shown")):
        async with edge(trials, reporting(BY_EDGE, *[HOP] * more)) as (mesh, _):
            found = await attempt(TrialRequest(), mesh, trials, lambda: True)
        assert (len(found.hops), found.note, found.saw_hops) == (HOPS_MAX, note, True)


@pytest.mark.parametrize(
    ("served_by", "deployment"), [("web@pr-7", "pr-7"), ("web", None), ("web@", None), ("", None), (None, None)]
)
async def test_an_edge_without_reports(
    monkeypatch: pytest.MonkeyPatch, served_by: str | None, deployment: str | None
) -> None:
    """Its own hop comes from its response, field by field."""
    monkeypatch.setattr(module, "_HOPS_SECONDS", 0.01)
    trials, before = Trials(), time.time()

    async def answer(_request: Request, _trial: Trial) -> Response:
        return PlainTextResponse("", 503, {} if served_by is None else {"x-detour-served-by": served_by})

    settings = Settings(edge_hosts={"a.test": "web"})
    request = TrialRequest(method="POST", path="/rides?a=1", host="A.test:80")
    async with edge(trials, answer, settings) as (mesh, _):
        found = await attempt(request, mesh, trials, lambda: True)
    (hop,) = found.hops
    assert before <= hop.start <= time.time()
    assert hop.seconds == found.answer.seconds > 0
    assert hop == Hop(
        caller="edge",
        caller_deployment=None,
        caller_instance="",
        service="web",
        deployment=deployment,
        served_by=served_by,
        method="POST",
        path="/rides?a=1",
        status=503,
        grpc_status=None,
        why="",
        start=hop.start,
        seconds=hop.seconds,
        by_edge=True,
    )


@pytest.mark.parametrize(
    ("has_edge", "words", "parts"),
    [
        (False, ["users=pr-42"], ["No edge is connected to this server", "start the edge with --control-plane"]),
        (True, ["users=pr-42"], ["does not trust", " and your overrides, which had no effect"]),
        (True, [], ["does not trust", "marks hops to report; only the edge's own hop is known"]),
    ],
)
async def test_the_note_says_why_hops_are_missing(
    monkeypatch: pytest.MonkeyPatch, has_edge: bool, words: list[str], parts: list[str]
) -> None:
    """No edge reports to this server, or the edge removed the id of the trial, with all overrides."""
    monkeypatch.setattr(module, "_HOPS_SECONDS", 0.01)
    trials = Trials()
    async with edge(trials, reporting()) as (mesh, _):
        found = await attempt(TrialRequest(parse_words(words)), mesh, trials, lambda: has_edge)
        url = mesh.settings.edge_url
    assert not found.saw_hops
    assert [part for part in parts if part not in found.note] == []
    assert (url in found.note) is has_edge
    # A host that the edge does not serve is its own.
    assert found.hops[0].service == "127.0.0.1"


async def test_without_an_address_no_request_is_sent() -> None:
    """And no trial is in progress."""
    trials = Trials()
    with pytest.raises(NoEdgeError, match="has no address of an edge"):
        await attempt(TrialRequest(), Mesh(), trials, lambda: True)
    settings = Settings(edge_url=f"http://127.0.0.1:{CLOSED_PORT}")
    with pytest.raises(EdgeUnreachableError, match="no edge answers"):
        await attempt(TrialRequest(), Mesh(settings=settings), trials, lambda: True)
    assert trials._under_way == {}


async def test_the_number_of_trials_is_bounded() -> None:
    """A further one is refused until one of them ends."""
    assert (TRIALS_MAX, HOPS_MAX) == (50, 300)
    trials = Trials()
    settings = Settings(edge_url=f"http://127.0.0.1:{CLOSED_PORT}")
    with ExitStack() as under_way:
        for _ in range(TRIALS_MAX):
            under_way.enter_context(trials.begun(lambda: None))
        with pytest.raises(TooManyTrialsError, match=f"{TRIALS_MAX} requests are being tried out"):
            await attempt(TrialRequest(), Mesh(settings=settings), trials, lambda: True)
    with ExitStack() as under_way:
        for _ in range(TRIALS_MAX - 1):
            under_way.enter_context(trials.begun(lambda: None))
        with pytest.raises(EdgeUnreachableError):
            await attempt(TrialRequest(), Mesh(settings=settings), trials, lambda: True)


async def test_permissions_and_mistakes_of_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Developers may send one; mistakes of a scenario come first in the note."""
    monkeypatch.setattr(module, "_HOPS_SECONDS", 0.01)
    trials = Trials()
    asked: list[Overrides] = []

    def headers_for(overrides: Overrides) -> Mapping[str, str]:
        asked.append(overrides)
        return {**by_baggage(overrides), "x-token": "signed"}

    async with edge(trials, reporting(BY_EDGE)) as (mesh, seen):
        operations = TrialOperations(lambda: mesh, trials, lambda: True, headers_for)
        with pytest.raises(ForbiddenError, match="vic has the role viewer"):
            await operations.attempt(Identity("vic", Role.VIEWER, Via.TOKEN), TrialRequest())
        assert (seen, asked) == ([], [])
        request = TrialRequest(parse_words(["users=gone"]), of_scenario=parse_words(["web=none", "users=pr-42"]))
        found = await operations.attempt(Identity("dev", Role.DEVELOPER, Via.TOKEN), request)
    assert seen[0].headers["x-token"] == "signed"
    assert asked == [with_trial_id(request.overrides, found.id)]
    assert found.note == (
        "web=none: web has no deployment none: it has none users=gone: users has no deployment gone: it has pr-42"
    )
    async with edge(trials, reporting()) as (mesh, _):
        operations = TrialOperations(lambda: mesh, trials, lambda: False, by_baggage)
        right = await operations.attempt(Identity("dev", Role.DEVELOPER, Via.TOKEN), TrialRequest())
        wrong = await operations.attempt(Identity("dev", Role.DEVELOPER, Via.TOKEN), request)
    assert right.note.startswith("No edge is connected")
    assert wrong.note.startswith("web=none: ")
    assert wrong.note.endswith(f" {right.note}")
