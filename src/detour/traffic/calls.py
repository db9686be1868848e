"""Recent calls between services: numbers of requests and errors, by caller and callee.

Invariant: pure; the caller passes the time, in seconds that never decrease. Numbers are kept for a minute, the call
itself for ten.

Requests that leave the mesh are not counted: Detour has neither deployments nor overrides there, and applications
choose the host names. Requests that did not reach an instance are not counted either.
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
"""The period of the numbers."""

SILENCE_SECONDS: Final = 600
"""When a call is forgotten: a picture should show the tests of the last minutes, not those of last week."""

CALLS_MAX: Final = 10_000
"""Maximum number of calls. 200 services that call 20 others each, also from 300 deployments, have fewer."""

_CLUSTERS_MAX: Final = 4_000
"""Maximum number of clusters that are read from one report: twice the number of idle clusters in an Envoy."""

_COUNT_MAX: Final = 10**9
"""Maximum number of requests in one report that is plausible."""


class Call(NamedTuple):
    """A caller and a callee; None as a deployment is the baseline."""

    caller: str
    caller_deployment: str | None
    service: str
    deployment: str | None


class Count(NamedTuple):
    """The number of requests of a call in one report."""

    call: Call
    requests: int
    errors: int


class Seen(NamedTuple):
    """A call, with its numbers of the last minute.

    Args:
        last: When the last request was reported.
    """

    call: Call
    requests: int
    errors: int
    last: float


@dataclass(slots=True)
class _Tally:
    """The numbers of one call, by second, and their sums."""

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
        at_most: Maximum number of calls; the oldest are dropped.
    """

    def __init__(self, at_most: int = CALLS_MAX) -> None:
        self._at_most = at_most
        self._tallies: dict[Call, _Tally] = {}
        """The latest last."""

    def add(self, count: Count, at: float) -> None:
        """Add a report of a moment."""
        if not count.requests:
            return
        tally = self._tallies.pop(count.call, None) or _Tally()
        tally.add(count.requests, count.errors, at)
        self._tallies[count.call] = tally
        if len(self._tallies) > self._at_most:
            del self._tallies[next(iter(self._tallies))]

    def recent(self, at: float) -> list[Seen]:
        """Return the calls at a moment, sorted by caller and callee."""
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
    """Yield the calls within the mesh from a report.

    Args:
        report: The requests of an Envoy since its last report (LRS v3, `ClusterStats`).
        caller: The Envoy.
        mesh: The mesh, which gives the names of clusters their meaning.
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
    """Return whether requests to a cluster are calls of a service.

    Requests in a tunnel are counted at its end, except for protocols that Envoy does not parse.
    """
    service = mesh.services.get(target.host)
    port = service.at(target.port) if service else None
    return port is not None and (not target.is_tunnel or port.protocol is Protocol.TCP)


def _deployment(target: Target, mesh: Mesh) -> str | None:
    """Return the deployment that receives the requests of a cluster; None for the baseline."""
    if target.deployment is None or not target.falls_back:
        return target.deployment
    found, service = mesh.deployment(target.host, target.deployment), mesh.services[target.host]
    return target.deployment if found and found.at(service.port_number(target.port)) else None
