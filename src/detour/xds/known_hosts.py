"""The hosts that a sidecar's route table names: services whose clusters the sidecar holds.

A request to a named host takes the shortest path: its route names the cluster, and Envoy does not check whether it
exists. A host is therefore named only after the sidecar has acknowledged its cluster and endpoints, and only while
it is a service of the mesh: clusters of services are never withdrawn.

Invariant: pure. When a sidecar reconnects with a route table, the server assumes that it holds the hosts in it.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from detour.xds.catalog import CLUSTER, ENDPOINTS, Catalog

HOSTS_MAX: Final = 500
"""Maximum number of named hosts. Requests to other hosts use the routes for unknown hosts."""

Acknowledged = Mapping[str, Mapping[str, str]]
"""By type URL, names to versions."""


class KnownHosts:
    """The set of hosts in one sidecar's route table.

    Args:
        catalog: Resolves cluster names.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._named: Mapping[str, str] | None = None

    def name(self, acknowledged: Acknowledged) -> tuple[str, ...]:
        """Return the hosts for a table that is sent now, and remember them."""
        found = [name for name in acknowledged.get(CLUSTER, ()) if self._is_known(name, acknowledged)]
        self._named = {name: self._catalog.subject_of(name) for name in found[:HOSTS_MAX]}
        return tuple(sorted(self._named))

    def are_more(self, names: Iterable[str], acknowledged: Acknowledged) -> bool:
        """Return whether the table should name additional hosts.

        Args:
            names: The clusters that the sidecar has just acknowledged, or whose endpoints it has.
            acknowledged: Everything that the sidecar holds.
        """
        named = self._named if self._named is not None else {}
        if len(named) >= HOSTS_MAX:
            return False
        return any(name not in named and self._is_known(name, acknowledged) for name in names)

    def are_fewer(self, subjects: Iterable[str]) -> bool:
        """Return whether the table names hosts that are no longer services.

        Args:
            subjects: The services that changed.
        """
        if not self._named:
            return False
        changed = frozenset(subjects)
        return any(
            subject in changed and not self._catalog.is_backed(name) for name, subject in self._named.items()
        )

    def _is_known(self, name: str, acknowledged: Acknowledged) -> bool:
        # Envoy compares hosts in lower case, so the table could name only one of two spellings.
        if "@" in name or name != name.lower() or not self._catalog.is_backed(name):
            return False
        # A cluster whose endpoints have not arrived answers 503; one with its own endpoints is ready at once.
        waits = self._catalog.has_endpoints(name)
        return name in acknowledged.get(CLUSTER, ()) and (not waits or name in acknowledged.get(ENDPOINTS, ()))
