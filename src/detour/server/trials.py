"""Trials: requests that the server sends through an edge, and whose hops Envoys report.

Invariant: the result says if hops may be missing. A deployment counts as reached only if an Envoy reported it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from detour.access import Identity, Role
from detour.envoy.vocabulary import SERVED_BY_HEADER, TRIAL
from detour.mesh import Mesh, Settings
from detour.mesh.checking import explained, limits, mistakes
from detour.overrides import Kind, Override, Overrides, append_to_baggage
from detour.server.edge_client import Answer, TrialRequest, send, service_behind
from detour.traffic.hops import Hop
from detour.traffic.reporter import EDGE
from detour.traffic.trials import Trial, Trials

_HOPS_SECONDS: Final = 2.0
"""Maximum time to wait for hops after the response."""

_QUIET_SECONDS: Final = 0.25
"""Time to wait for further hops after the edge's report: it is the last one sent, but may arrive earlier."""

HeadersFor = Callable[[Overrides], Mapping[str, str]]
"""Returns the headers with which an edge accepts overrides."""


class NoEdgeError(RuntimeError):
    """The mesh file has no address of an edge."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a trial.

    Args:
        id: The id of the trial.
        answer: The response of the edge.
        hops: The hops, ordered by time.
        saw_hops: Whether Envoys reported the hops behind the edge.
        note: Limitations of the result, for people; usually "".
    """

    id: str
    answer: Answer
    hops: Sequence[Hop]
    saw_hops: bool
    note: str

    def reached(self, service: str, deployment: str) -> bool | None:
        """Return whether a hop reached a deployment; None if hops may be missing."""
        if any(one.service == service and one.served_by == f"{service}@{deployment}" for one in self.hops):
            return True
        return False if self.saw_hops else None


def by_baggage(overrides: Overrides) -> Mapping[str, str]:
    """Return overrides as a `baggage` header, which only edges with `--trust-overrides` accept.

    Raises:
        ValueError: They do not fit into a header.
    """
    return {"baggage": append_to_baggage(None, overrides)}


def with_trial_id(overrides: Overrides, trial: str) -> Overrides:
    """Add the override with the id of the trial, by which Envoys recognize the hops to report."""
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
        mesh: The mesh, with the address of the edge.
        trials: Receives the hops.
        has_edge: Returns whether an edge is connected to this server.
        headers_for: Returns the headers with which the edge accepts overrides.

    Raises:
        NoEdgeError: The mesh file has no address of an edge.
        EdgeUnreachableError: No edge answers there.
        TimeoutError: The response did not arrive in time.
        TooManyTrialsError: The maximum number of trials is in progress.
        ValueError: Its overrides do not fit into a header.
    """
    if not mesh.settings.edge_url:
        raise NoEdgeError(
            "the mesh file has no address of an edge: add it, as in edge: {url: http://127.0.0.1:8000}"
        )
    news = asyncio.Event()
    with trials.begun(news.set) as trial:
        carried = headers_for(with_trial_id(request.overrides, trial.id))
        began = time.time()
        answer = await send(request, mesh.settings, carried)
        await _wait_for_hops(trial, news)
    hops = sorted(trial.hops, key=lambda one: (one.start, -one.seconds))
    if trial.has_edge:
        return Outcome(trial.id, answer, hops, saw_hops=True, note=_dropped(trial))
    hops = [_first_hop(request, mesh.settings, answer, began), *hops]
    note = _why_hops_are_missing(mesh.settings, request, has_edge=has_edge())
    return Outcome(trial.id, answer, hops, saw_hops=False, note=note)


async def _wait_for_hops(trial: Trial, news: asyncio.Event) -> None:
    """Wait for the edge's report, and then until no further hop arrives for a while."""
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
    """Return the edge's own hop, from its response."""
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
        trials: Receives the hops.
        has_edge: Returns whether an edge is connected to this server.
        headers_for: Returns the headers with which an edge accepts overrides.
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
            Exception: The errors of `attempt`.
        """
        caller.expect(Role.DEVELOPER)
        outcome = await attempt(request, self._mesh(), self._trials, self._has_edge, self.headers_for)
        overrides, mesh = request.overrides.over(request.of_scenario), self._mesh()
        notes = explained([*mistakes(overrides, mesh), *limits(overrides, mesh)])
        return replace(outcome, note=" ".join(filter(None, (*notes, outcome.note))))


def _dropped(trial: Trial) -> str:
    return f"{trial.dropped} more hops are not shown" if trial.dropped else ""


def _why_hops_are_missing(settings: Settings, request: TrialRequest, *, has_edge: bool) -> str:
    if not has_edge:
        return (
            "No edge is connected to this server, so it receives no reports about hops behind the edge: start the"
            " edge with --control-plane and this server's address."
        )
    lost = " and your overrides, which had no effect" if len(request.overrides) else ""
    return (
        f"The edge at {settings.edge_url} does not trust overrides from outside. It removed the id of the trial,"
        f" which marks hops to report{lost}; only the edge's own hop is known, from its response."
    )
