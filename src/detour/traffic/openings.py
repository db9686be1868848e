"""Sidecars that sent requests past the mesh because the control plane did not answer.

A sidecar counts these requests, and reports them as soon as it reaches a server again. Requests before its very
first connection are not known.

Invariant: pure, and bounded for all reports.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from envoy.service.load_stats.v3.lrs_pb2 import LoadStatsRequest

from detour.envoy.vocabulary import NO_ANSWER_CLUSTER
from detour.traffic.reporter import Reporter

OPENINGS_MAX: Final = 500
KEPT_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True)
class Opening:
    """Requests that a sidecar forwarded to where they would go without Detour.

    Args:
        service: The service that sent them.
        instance: The sidecar's node id.
        began: When the count began, in seconds since 1970.
        ended: When they were reported.
        requests: The number of requests.
    """

    service: str
    instance: str
    began: float
    ended: float
    requests: int


class Openings:
    """Recent openings, the last of each sidecar."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, Opening] = OrderedDict()

    def add(self, report: LoadStatsRequest, caller: Reporter, at: float) -> bool:
        """Add a load report; False if it has no such requests.

        Args:
            report: A load report of an Envoy.
            caller: The Envoy.
            at: Now, in seconds since 1970.
        """
        for stats in report.cluster_stats:
            requests = sum(one.total_issued_requests for one in stats.upstream_locality_stats)
            if stats.cluster_name == NO_ANSWER_CLUSTER and requests:
                interval = stats.load_report_interval
                seconds = interval.seconds + interval.nanos / 1e9
                self._note(Opening(caller.service, caller.instance, at - seconds, at, requests))
                return True
        return False

    def recent(self, now: float) -> list[Opening]:
        """Return the openings of the last hour, by instance."""
        found = [one for one in self._seen.values() if one.ended > now - KEPT_SECONDS]
        return sorted(found, key=lambda one: one.instance)

    def _note(self, found: Opening) -> None:
        before = self._seen.pop(found.instance, None)
        if before and before.ended >= found.began - 1:
            found = replace(found, began=before.began, requests=before.requests + found.requests)
        self._seen[found.instance] = found
        if len(self._seen) > OPENINGS_MAX:
            self._seen.popitem(last=False)
