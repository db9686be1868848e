"""Who called what lately: numbers of requests and errors, by caller and callee.

Invariant: pure; time is what the caller says it is, in seconds that only go forward. What happened is kept for a
minute, that it happened for ten.

Requests that leave the mesh are left out: nothing of Detour's is there, neither a deployment nor an override, and
their hosts are whatever applications make up. So are requests that no instance got.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

from envoy.service.load_stats.v3.lrs_pb2 import LoadStatsRequest

from detour.mesh import Mesh, Protocol
from detour.traffic.reporter import Reporter
from detour.xds.names import Target, parse

WINDOW_SECONDS: Final = 60
"""How far back numbers reach."""

SILENCE_SECONDS: Final = 600
"""When a call is forgotten: a picture should show what somebody tried before the coffee, and not last week's."""

CALLS_MAX: Final = 10_000
"""How many are kept. 200 services that all call 20 others, from 300 deployments too, are fewer."""

_CLUSTERS_MAX: Final = 4_000
"""How many clusters of one report are read: twice as many as an Envoy may hold for nothing."""

_COUNT_MAX: Final = 10**9
"""More requests than that since the last report have not been."""


class Call(NamedTuple):
    """Somebody calls something; None as a deployment is the baseline."""

    caller: str
    caller_deployment: str | None
    service: str
    deployment: str | None


class Count(NamedTuple):
    """So many of a call, as one report has it."""

    call: Call
    requests: int
    errors: int


class Seen(NamedTuple):
    """A call, as it was in the last minute.

    Args:
        last: When the last one was reported.
    """

    call: Call
    requests: int
    errors: int
    last: float


@dataclass(slots=True)
class _Tally:
    """The numbers of one call: by second, and their sums."""

    last: float = 0.0
    requests: int = 0
    errors: int = 0
    seconds: deque[tuple[int, int, int]] = field(default_factory=deque)

    def add(self, requests: int, errors: int, at: float) -> None:
        self.last = at
        self.requests += requests
        self.errors += errors
        if self.seconds and self.seconds[-1][0] == int(at):
            second, before, failed = self.seconds.pop()
            self.seconds.append((second, before + requests, failed + errors))
        else:
            self.seconds.append((int(at), requests, errors))
        self.forget(at)

    def forget(self, at: float) -> None:
        while self.seconds and self.seconds[0][0] <= at - WINDOW_SECONDS:
            _, requests, errors = self.seconds.popleft()
            self.requests -= requests
            self.errors -= errors


class Calls:
    """The calls of a mesh.

    Args:
        at_most: How many are kept, the latest ones.
    """

    def __init__(self, at_most: int = CALLS_MAX) -> None:
        self._at_most = at_most
        self._tallies: dict[Call, _Tally] = {}
        """The latest last."""

    def add(self, count: Count, at: float) -> None:
        """Take what was reported at a moment."""
        if not count.requests:
            return
        tally = self._tallies.pop(count.call, None) or _Tally()
        tally.add(count.requests, count.errors, at)
        self._tallies[count.call] = tally
        if len(self._tallies) > self._at_most:
            del self._tallies[next(iter(self._tallies))]

    def recent(self, at: float) -> list[Seen]:
        """Return what is known at a moment, sorted by caller and callee."""
        while self._tallies:
            oldest = next(iter(self._tallies))
            if self._tallies[oldest].last > at - SILENCE_SECONDS:
                break
            del self._tallies[oldest]
        for tally in self._tallies.values():
            tally.forget(at)
        found = [Seen(call, one.requests, one.errors, one.last) for call, one in self._tallies.items()]
        return sorted(found, key=lambda one: [part or "" for part in one.call])


def counts(report: LoadStatsRequest, caller: Reporter, mesh: Mesh) -> Iterator[Count]:
    """Yield what a report says of calls within the mesh.

    Args:
        report: What an Envoy did since its last report (LRS v3, `ClusterStats`).
        caller: The Envoy.
        mesh: What its clusters' names mean.
    """
    for stats in islice(report.cluster_stats, _CLUSTERS_MAX):
        if not stats.upstream_locality_stats:
            continue
        target = parse(stats.cluster_name, mesh.settings.naming, caller.namespace)
        if target is None or not _is_call(target, mesh):
            continue
        good = sum(one.total_successful_requests for one in stats.upstream_locality_stats)
        bad = sum(one.total_error_requests for one in stats.upstream_locality_stats)
        call = Call(caller.service, caller.deployment, target.host, _deployment(target, mesh))
        yield Count(call, min(good + bad, _COUNT_MAX), min(bad, _COUNT_MAX))


def _is_call(target: Target, mesh: Mesh) -> bool:
    """Say whether requests to a cluster are calls of a service.

    What comes through a tunnel is counted behind it, but for what no Envoy can read.
    """
    service = mesh.services.get(target.host)
    port = service.at(target.port) if service else None
    return port is not None and (not target.is_tunnel or port.protocol is Protocol.TCP)


def _deployment(target: Target, mesh: Mesh) -> str | None:
    """Return the deployment that gets the requests of a cluster; None for the baseline."""
    if target.deployment is None or not target.falls_back:
        return target.deployment
    found, service = mesh.deployment(target.host, target.deployment), mesh.services[target.host]
    return target.deployment if found and found.at(service.port_number(target.port)) else None
