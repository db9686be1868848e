"""Requests with overrides to hosts outside the mesh, where overrides have no effect.

This is normal for external hosts. But if such a host is another name of an overridden service, this is the only
sign of a mistake: the request reaches the baseline, because the sidecar has no route for that name.

Invariant: pure, and bounded for all reports.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from envoy.data.accesslog.v3.accesslog_pb2 import HTTPAccessLogEntry

from detour.envoy.vocabulary import LEFT
from detour.mesh import Mesh
from detour.overrides import ON_CALLS, parse_baggage
from detour.traffic.reporter import Reporter

DEPARTURES_MAX: Final = 500
"""Maximum number of pairs of a caller and a host; the pair with the oldest request is dropped first."""

KEPT_SECONDS: Final = 3600
_HOST_MAX: Final = 260
_SUBJECTS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Departure:
    """Requests with overrides that a service sent to one host outside the mesh.

    Args:
        caller: The service that sent them, or `users@pr-42` for a deployment.
        host: The host of the requests, with its port if they have one.
        overridden: The services that their overrides were for.
        suspected: The overridden service that the host seems to be; empty if it does not look like one.
        requests: The number of requests.
        last: When the last one was reported, in seconds since 1970.
    """

    caller: str
    host: str
    overridden: tuple[str, ...]
    suspected: str
    requests: int
    last: float


class Departures:
    """Recent departures."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], Departure] = OrderedDict()

    def add(self, entry: HTTPAccessLogEntry, caller: Reporter, mesh: Mesh, at: float) -> bool:
        """Add an access log entry; False if its request did not leave the mesh with overrides.

        Args:
            entry: An entry of an Envoy's access log.
            caller: The Envoy.
            mesh: The mesh in force.
            at: Now, in seconds since 1970.
        """
        baggage = entry.common_properties.custom_tags.get(LEFT, "")
        if not baggage:
            return False
        name = f"{caller.service}@{caller.deployment}" if caller.deployment else caller.service
        host = entry.request.authority[:_HOST_MAX].lower()
        overridden = _overridden(baggage)
        before = self._seen.pop((name, host), Departure(name, host, (), "", 0, at))
        subjects = tuple(sorted({*before.overridden, *overridden}))[:_SUBJECTS_MAX]
        suspected = _suspected(host, overridden, mesh) or before.suspected
        self._seen[name, host] = replace(
            before, overridden=subjects, suspected=suspected, requests=before.requests + 1, last=at
        )
        if len(self._seen) > DEPARTURES_MAX:
            self._seen.popitem(last=False)
        return True

    def recent(self, now: float) -> list[Departure]:
        """Return the departures of the last hour, by caller and host."""
        found = [one for one in self._seen.values() if one.last > now - KEPT_SECONDS]
        return sorted(found, key=lambda one: (one.caller, one.host))


def _overridden(baggage: str) -> Sequence[str]:
    return [one.subject for one in parse_baggage([baggage]).overrides if one.kind in ON_CALLS]


def _suspected(host: str, overridden: Iterable[str], mesh: Mesh) -> str:
    """Return the overridden service that a host seems to be, by its first label or an instance's address."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    for subject in overridden:
        service = mesh.services.get(subject)
        addresses = {endpoint.address for endpoint in service.endpoints} if service else set()
        if name.partition(".")[0] == subject.partition(".")[0] or name.strip("[]") in addresses:
            return subject
    return ""
