"""The order in which an edge receives clusters and the routes that refer to them, as a state machine of its own.

An edge's routes name the clusters that "*" covers. Invariants (xDS protocol, "Eventual consistency
considerations"):

- Routes wait until the edge has settled (acknowledged or rejected) the endpoints of each cluster that they newly
  refer to. Envoy answers 503 for a cluster without endpoints.
- A cluster that "*" no longer covers stays until the routes that referred to it are replaced.

Pure: the session reports names, and asks what it may send.
"""

from collections.abc import Callable, Iterable


class RouteGate:
    """Tracks which endpoints the routes wait for, and which clusters wait for new routes before their removal."""

    def __init__(self) -> None:
        self._awaited: set[str] = set()
        self._leaving: set[str] = set()
        self._are_routes_held = False

    def enter(self, names: Iterable[str]) -> None:
        """Make routes wait for the endpoints of these clusters, which the edge is about to receive."""
        self._awaited.update(names)

    def settle(self, names: Iterable[str]) -> None:
        """Stop waiting for these endpoints: the edge has settled them, or its answer no longer matters."""
        self._awaited.difference_update(names)

    def keep_waiting_for(self, has_endpoints: Callable[[str], bool]) -> None:
        """Stop waiting for clusters that have lost their endpoints: the edge will not request any."""
        self._awaited = {name for name in self._awaited if has_endpoints(name)}

    def leave(self, names: Iterable[str]) -> None:
        """Record that "*" no longer covers these clusters."""
        self._leaving.update(names)

    def stay(self, names: Iterable[str]) -> None:
        """Record that "*" covers these clusters again."""
        self._leaving.difference_update(names)

    def hold_routes(self) -> bool:
        """Return whether routes have to wait. If so, `release_routes` later reports that they no longer do."""
        self._are_routes_held = self._are_routes_held or bool(self._awaited)
        return bool(self._awaited)

    def release_routes(self) -> bool:
        """Return True once when routes that were held may be sent."""
        may_go = self._are_routes_held and not self._awaited
        self._are_routes_held = self._are_routes_held and not may_go
        return may_go

    def release_clusters(self, are_routes_settled: Callable[[], bool]) -> list[str]:
        """Return, once, the clusters that no route refers to any longer.

        Args:
            are_routes_settled: Returns whether the edge has the latest routes.
        """
        # While routes wait, the edge still has the older ones, which refer to these clusters.
        if self._awaited or not self._leaving or not are_routes_settled():
            return []
        return self.stop()

    def stop(self) -> list[str]:
        """Return, once, all clusters that wait for removal. Use when the edge unsubscribes from "*"."""
        leaving, self._leaving = sorted(self._leaving), set()
        return leaving
