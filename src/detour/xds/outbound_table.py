"""The order of a sidecar's route table, as a state machine of its own; `detour.xds.edge.route_gate` is an edge's.

Invariants:

- The table names only hosts whose clusters the sidecar holds (`detour.xds.known_hosts`). It is sent again when that
  set changes.
- A connection manager follows the table: without one, it would answer 404.

Pure: the session reports what the sidecar has acknowledged, and asks what it may send.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from envoy.service.discovery.v3.discovery_pb2 import Resource

from detour.envoy.vocabulary import OUTBOUND_MANAGERS
from detour.xds.catalog import FILTERS, OUTBOUND, ROUTES, Catalog, Key
from detour.xds.known_hosts import KnownHosts
from detour.xds.subscription import Subscription

_MANAGERS: Final = tuple(Key(FILTERS, name) for name in OUTBOUND_MANAGERS)


class OutboundTable:
    """When the route table of one sidecar is due, and what is in it.

    Args:
        catalog: Builds the table.
        subscriptions: The Envoy's subscriptions, by type URL.
    """

    def __init__(self, catalog: Catalog, subscriptions: Mapping[str, Subscription]) -> None:
        self._catalog = catalog
        self._subscriptions = subscriptions
        self._hosts = KnownHosts(catalog)
        self.has_new_hosts = False
        """Whether the table is due because the set of hosts in it changed."""

    def held(self, names: Iterable[str]) -> None:
        """Schedule the table if the sidecar has just acknowledged clusters or endpoints that add hosts to it."""
        if self._hosts.are_more(names, self._acknowledged):
            self._schedule()

    def changed(self, subjects: Iterable[str]) -> None:
        """Schedule the table if it names a host that was a service before these services changed."""
        if self._hosts.are_fewer(subjects):
            self._schedule()

    def delays(self, key: Key) -> bool:
        """Return whether a resource is a connection manager that has to wait for the table."""
        routes = self._subscriptions.get(ROUTES)
        return key in _MANAGERS and not (routes and routes.sent.get(OUTBOUND.name))

    def resource(self) -> Resource | None:
        """Return the table for a response that is sent now."""
        self.has_new_hosts = False
        return self._catalog.outbound_routes(self._hosts.name(self._acknowledged))

    def sent(self) -> None:
        """Schedule the connection managers that waited for the table."""
        if managers := self._subscriptions.get(FILTERS):
            managers.schedule_if_changed(name for name in managers.sent if name in OUTBOUND_MANAGERS)

    @property
    def _acknowledged(self) -> dict[str, dict[str, str]]:
        return {type_url: one.acknowledged for type_url, one in self._subscriptions.items()}

    def _schedule(self) -> None:
        routes = self._subscriptions.get(ROUTES)
        if routes and OUTBOUND.name in routes.sent:
            self.has_new_hosts = True
            routes.schedule_if_changed([OUTBOUND.name])
