"""The order in which an edge gets clusters and the routes that lead to them, as a state machine of its own.

An edge's routes name the clusters that "*" stands for. What always holds (xDS protocol, "Eventual consistency
considerations"):

- routes wait until the edge has settled (acknowledged, or rejected) the endpoints of each cluster that they newly
  lead to, because Envoy answers 503 for a cluster without endpoints;
- a cluster that "*" no longer stands for stays until the routes that led there are replaced.

Pure: names go in, and the session asks what may be sent.
"""

from collections.abc import Callable, Iterable


class RouteGate:
    """What routes wait for, and which clusters wait for routes."""

    def __init__(self) -> None:
        self._awaited: set[str] = set()
        self._leaving: set[str] = set()
        self._are_routes_held = False

    def enter(self, names: Iterable[str]) -> None:
        """Have routes wait for the endpoints of these clusters, which the edge is about to get."""
        self._awaited.update(names)

    def settle(self, names: Iterable[str]) -> None:
        """Take note that the edge has settled these endpoints, or that nobody waits for its answer any more."""
        self._awaited.difference_update(names)

    def keep_waiting_for(self, has_endpoints: Callable[[str], bool]) -> None:
        """Wait no longer for clusters that have lost their endpoints: the edge will not ask for any."""
        self._awaited = {name for name in self._awaited if has_endpoints(name)}

    def leave(self, names: Iterable[str]) -> None:
        """Take note that "*" no longer stands for these clusters."""
        self._leaving.update(names)

    def stay(self, names: Iterable[str]) -> None:
        """Take note that "*" stands for these clusters again."""
        self._leaving.difference_update(names)

    def hold_routes(self) -> bool:
        """Return whether routes have to wait; if so, `release_routes` says when they no longer do."""
        self._are_routes_held = self._are_routes_held or bool(self._awaited)
        return bool(self._awaited)

    def release_routes(self) -> bool:
        """Return, once, that routes which were held may go."""
        may_go = self._are_routes_held and not self._awaited
        self._are_routes_held = self._are_routes_held and not may_go
        return may_go

    def release_clusters(self, are_routes_settled: Callable[[], bool]) -> list[str]:
        """Return, once, the clusters that no route leads to any more.

        Args:
            are_routes_settled: Says whether the edge has the latest routes.
        """
        if self._awaited or not self._leaving or not are_routes_settled():
            return []
        return self.stop()

    def stop(self) -> list[str]:
        """Return, once, the clusters that are leaving, whatever leads there: "*" is no longer subscribed to."""
        leaving, self._leaving = sorted(self._leaving), set()
        return leaving
