"""The hosts that a sidecar's route table names: services whose clusters the sidecar has.

A request to one of them takes the shortest way: its route names the cluster, and Envoy does not look whether it
is there. So a host is named only after the sidecar has acknowledged its cluster and its endpoints, and only while
it is a service of the mesh: clusters of services are never withdrawn.

Invariant: pure. A table that a reconnecting sidecar brings along is believed to name what the sidecar has.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from detour.xds.catalog import CLUSTER, ENDPOINTS, Catalog

HOSTS_MAX: Final = 500
"""So many hosts are named; requests to others take the way of hosts that are not known."""

Acknowledged = Mapping[str, Mapping[str, str]]
"""By type URL, names to versions."""


class KnownHosts:
    """What the route table of one sidecar names.

    Args:
        catalog: Says what a cluster's name stands for.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._named: Mapping[str, str] | None = None

    def name(self, acknowledged: Acknowledged) -> tuple[str, ...]:
        """Return the hosts that a table names which is sent now."""
        found = [name for name in acknowledged.get(CLUSTER, ()) if self._is_known(name, acknowledged)]
        self._named = {name: self._catalog.subject_of(name) for name in found[:HOSTS_MAX]}
        return tuple(sorted(self._named))

    def are_more(self, names: Iterable[str], acknowledged: Acknowledged) -> bool:
        """Say whether the table is to name hosts that it does not name yet.

        Args:
            names: The clusters that the sidecar has just acknowledged, or whose endpoints it has.
            acknowledged: All that it has.
        """
        named = self._named if self._named is not None else {}
        if len(named) >= HOSTS_MAX:
            return False
        return any(name not in named and self._is_known(name, acknowledged) for name in names)

    def are_fewer(self, subjects: Iterable[str]) -> bool:
        """Say whether the table names hosts that are no services any more.

        Args:
            subjects: The services that have changed.
        """
        if not self._named:
            return False
        changed = frozenset(subjects)
        return any(
            subject in changed and not self._catalog.is_backed(name) for name, subject in self._named.items()
        )

    def _is_known(self, name: str, acknowledged: Acknowledged) -> bool:
        # Envoy compares hosts in lower case; of two spellings of one host the table could name one.
        if "@" in name or name != name.lower() or not self._catalog.is_backed(name):
            return False
        waits = self._catalog.has_endpoints(name)
        return name in acknowledged.get(CLUSTER, ()) and (not waits or name in acknowledged.get(ENDPOINTS, ()))
