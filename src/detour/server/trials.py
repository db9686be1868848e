"""Trying a request: sent through an edge, and seen at each hop behind it.

Invariant: what can't be seen is said to be so. A deployment counts as reached only if an Envoy said that it was.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from detour.access import Identity, Role
from detour.envoy.vocabulary import SERVED_BY_HEADER, TRIAL
from detour.mesh import Mesh, Settings
from detour.mesh.checking import explained, mistakes
from detour.overrides import Kind, Override, Overrides, append_to_baggage
from detour.server.edge_client import Answer, TrialRequest, send, service_behind
from detour.traffic.hops import Hop
from detour.traffic.reporter import EDGE
from detour.traffic.trials import Trial, Trials

_HOPS_SECONDS: Final = 2.0
"""How long hops are waited for when the answer is there."""

_QUIET_SECONDS: Final = 0.25
"""The edge has told last of all, but its word may overtake others'."""

HeadersFor = Callable[[Overrides], Mapping[str, str]]
"""Gives the headers by which an edge believes overrides."""


class NoEdgeError(RuntimeError):
    """The mesh file does not say where an edge is."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request.

    Args:
        id: The trial's.
        hops: In order of time.
        saw_hops: Whether the hops behind the edge were reported.
        note: What people must know to read it.
    """

    id: str
    answer: Answer
    hops: Sequence[Hop]
    saw_hops: bool
    note: str

    def reached(self, service: str, deployment: str) -> bool | None:
        """Say whether a hop reached a deployment; None if there may have been hops that were not reported."""
        if any(one.service == service and one.served_by == f"{service}@{deployment}" for one in self.hops):
            return True
        return False if self.saw_hops else None


def by_baggage(overrides: Overrides) -> Mapping[str, str]:
    """Carry overrides as every service does: an edge believes them if it trusts those who call it.

    Raises:
        ValueError: There are too many for a header.
    """
    return {"baggage": append_to_baggage(None, overrides)}


def marked(overrides: Overrides, trial: str) -> Overrides:
    """Add the mark by which the hops of a trial are known."""
    return Overrides.collect([Override(Kind.CONFIG, TRIAL, trial)]).over(overrides)


async def attempt(
    request: TrialRequest,
    mesh: Mesh,
    trials: Trials,
    has_edge: Callable[[], bool],
    headers_for: HeadersFor = by_baggage,
) -> Outcome:
    """Send a request, and wait for its hops.

    Args:
        request: The request.
        mesh: Where it is sent.
        trials: Where its hops arrive.
        has_edge: Whether an edge is connected to this server.
        headers_for: What makes an edge believe its overrides.

    Raises:
        NoEdgeError: The mesh file does not say where an edge is.
        SilentEdgeError: There is none.
        TimeoutError: The answer did not come in time.
        TooManyTrialsError: Too many are under way.
        ValueError: Its overrides do not fit into a header.
    """
    if not mesh.settings.edge_url:
        raise NoEdgeError(
            "no edge is known: put its address into the mesh file, as edge: {url: http://127.0.0.1:8000}"
        )
    news = asyncio.Event()
    with trials.begun(news.set) as trial:
        carried = headers_for(marked(request.overrides, trial.id))
        began = time.time()
        answer = await send(request, mesh.settings, carried)
        await _heard(trial, news)
    hops = sorted(trial.hops, key=lambda one: (one.start, -one.seconds))
    if trial.has_edge:
        return Outcome(trial.id, answer, hops, saw_hops=True, note=_dropped(trial))
    hops = [_first_hop(request, mesh.settings, answer, began), *hops]
    return Outcome(
        trial.id, answer, hops, saw_hops=False, note=_unseen(mesh.settings, request, has_edge=has_edge())
    )


async def _heard(trial: Trial, news: asyncio.Event) -> None:
    """Wait for the edge's word, and for some silence after it."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _HOPS_SECONDS
    while (left := end - loop.time()) > 0:
        news.clear()
        try:
            async with asyncio.timeout(min(left, _QUIET_SECONDS) if trial.has_edge else left):
                await news.wait()
        except TimeoutError:
            return


def _first_hop(request: TrialRequest, settings: Settings, answer: Answer, began: float) -> Hop:
    """Return what the answer tells of the edge's own hop."""
    service = service_behind(settings, answer.host.lower()) or answer.host
    served_by = answer.headers.get(SERVED_BY_HEADER)
    deployment = served_by.partition("@")[2] if served_by else ""
    return Hop(
        caller=EDGE,
        caller_deployment=None,
        caller_instance="",
        service=service,
        deployment=deployment or None,
        served_by=served_by,
        method=request.method,
        path=request.path,
        status=answer.status,
        grpc_status=None,
        why="",
        start=began,
        seconds=answer.seconds,
        by_edge=True,
    )


class TrialOperations:
    """The operation that tries a request.

    Args:
        mesh: Returns the mesh in force.
        trials: Where hops arrive.
        has_edge: Says whether an edge is connected to this server.
        headers_for: What makes an edge trust a request's overrides.
    """

    def __init__(
        self, mesh: Callable[[], Mesh], trials: Trials, has_edge: Callable[[], bool], headers_for: HeadersFor
    ) -> None:
        self._mesh = mesh
        self._trials = trials
        self._has_edge = has_edge
        self.headers_for = headers_for

    async def attempt(self, caller: Identity, request: TrialRequest) -> Outcome:
        """Send a request through the edge, and wait for its hops.

        Raises:
            ForbiddenError: The caller is only a viewer.
            Exception: As `attempt`.
        """
        caller.expect(Role.DEVELOPER)
        outcome = await attempt(request, self._mesh(), self._trials, self._has_edge, self.headers_for)
        mistaken = explained(mistakes(request.overrides.over(request.of_scenario), self._mesh()))
        return replace(outcome, note=" ".join(filter(None, (*mistaken, outcome.note))))


def _dropped(trial: Trial) -> str:
    return f"there were {trial.dropped} hops more, which are not shown" if trial.dropped else ""


def _unseen(settings: Settings, request: TrialRequest, *, has_edge: bool) -> str:
    if not has_edge:
        return (
            "No edge is connected to this server, so the hops behind the edge can't be seen: start it with"
            " --control-plane and this server's address."
        )
    lost = " and the overrides that you chose, which had no effect" if len(request.overrides) else ""
    return (
        f"The edge at {settings.edge_url} does not trust what comes from outside. It took away the mark by which"
        f" hops are found{lost}; only its own hop is known, from its answer."
    )
