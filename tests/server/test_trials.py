"""What a trial sends, how long it waits for hops, and what its result says. A stand-in for an edge reports them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from detour.access import ForbiddenError, Identity, Role, Via
from detour.mesh import Mesh, OffloadedDeployment, Service, Settings
from detour.overrides import Overrides, parse_words
from detour.server import trials as module
from detour.server.edge_client import Answer, EdgeUnreachableError, TrialRequest
from detour.server.trials import NoEdgeError, Outcome, TrialOperations, attempt, by_baggage, with_trial_id
from detour.traffic.hops import Hop
from detour.traffic.trials import HOPS_MAX, TRIALS_MAX, TooManyTrialsError, Trial, Trials
from partly_read import BOTH, WARNING
from parts import application

CLOSED_PORT = 1
"""A port that nothing listens on."""

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
        (
            True,
            ["users=pr-42"],
            [
                "The edge at http",
                "does not trust overrides from outside. It removed the id of the trial, which marks hops to",
                "hops to report and your overrides, which had no effect; only the edge's own hop is known,",
                " is known, from its response.",
            ],
        ),
        (
            True,
            [],
            ["does not trust", "marks hops to report; only the edge's own hop is known, from its response."],
        ),
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
    assert found.note.startswith(parts[0]) or not words
    # A host that the edge does not serve is its own.
    assert found.hops[0].service == "127.0.0.1"


async def test_without_an_address_no_request_is_sent() -> None:
    """And no trial is in progress."""
    trials = Trials()
    with pytest.raises(
        NoEdgeError,
        match=r"^the mesh file has no address of an edge: add it, as in edge: {url: http://127.0.0.1:8000}$",
    ):
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
    async with edge(trials, reporting(BY_EDGE)) as (mesh, _):
        partly_read = replace(mesh, services={**mesh.services, "both": BOTH})
        operations = TrialOperations(lambda: partly_read, trials, lambda: True, by_baggage)
        developer, request_to_both = Identity("dev", Role.DEVELOPER, Via.TOKEN), parse_words(["delay.both=1s"])
        limited = await operations.attempt(developer, TrialRequest(request_to_both))
    assert limited.note == f"delay.both=1s: {WARNING}"
    async with edge(trials, reporting()) as (mesh, _):
        operations = TrialOperations(lambda: mesh, trials, lambda: False, by_baggage)
        right = await operations.attempt(Identity("dev", Role.DEVELOPER, Via.TOKEN), TrialRequest())
        wrong = await operations.attempt(Identity("dev", Role.DEVELOPER, Via.TOKEN), request)
    assert right.note.startswith("No edge is connected")
    assert wrong.note.startswith("web=none: ")
    assert wrong.note.endswith(f" {right.note}")
