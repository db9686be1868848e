"""All resources that Envoys can request, each built from the mesh when first requested and cached as bytes.

Invariant: without a change of the mesh, two requests return the same bytes and version, in every process. An Envoy
that reconnects, perhaps to another server, therefore receives only what it lacks. A resource that cannot be built
keeps its previous content and is listed in `failures`.
"""

import itertools
import logging
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.service.discovery.v3.discovery_pb2 import Resource
from google.protobuf.message import Message

from detour.envoy.vocabulary import OUTBOUND_ROUTES, TYPE
from detour.mesh import KeysApplied, Mesh, MeshEvent, ScenariosApplied, SettingsApplied, touched
from detour.xds.cache import Cache, Entry
from detour.xds.clusters import cluster
from detour.xds.edge.settings import edge_settings
from detour.xds.edge.token_check import token_check
from detour.xds.endpoints import load_assignment
from detour.xds.messages import packed
from detour.xds.names import NAME_MAX, Target, parse
from detour.xds.outbound_manager import outbound_manager
from detour.xds.routes import route_table, with_hosts

CLUSTER: Final = TYPE + "envoy.config.cluster.v3.Cluster"
ENDPOINTS: Final = TYPE + "envoy.config.endpoint.v3.ClusterLoadAssignment"
ROUTES: Final = TYPE + "envoy.config.route.v3.RouteConfiguration"
FILTERS: Final = TYPE + "envoy.config.core.v3.TypedExtensionConfig"

_BUILDERS: Final[dict[str, Callable[[str, Target | None, Mesh], Message]]] = {
    CLUSTER: cluster,
    ENDPOINTS: load_assignment,
}

TYPES: Final = (CLUSTER, ENDPOINTS, FILTERS, ROUTES)
"""The supported types in send order: clusters before their endpoints, and both before the routes that refer to them
(xDS protocol, "Eventual consistency considerations")."""

_FAILURES_MAX: Final = 1000
_TOUCHED_MAX: Final = 10_000

_ids: Final = itertools.count()
"""Identifies catalogs in the shared cache: no catalog may use another's entries, even of the same namespace."""

_log = logging.getLogger(__name__)


SETTINGS: Final = ""
"""The subject of resources that depend on the mesh's settings."""

EDGES: Final = "@edges"
"""The subject of resources that depend on settings, scenarios and keys. It is not a valid service name."""


def subjects(events: Iterable[MeshEvent]) -> frozenset[str]:
    """Return the subjects that events change."""
    events = list(events)
    found = set(touched(events))
    if any(isinstance(event, SettingsApplied) for event in events):
        found |= {SETTINGS, EDGES}
    if any(isinstance(event, ScenariosApplied | KeysApplied) for event in events):
        found.add(EDGES)
    return frozenset(found)


class Key(NamedTuple):
    """A resource's type URL and name."""

    type_url: str
    name: str


OUTBOUND: Final = Key(ROUTES, OUTBOUND_ROUTES)
"""The route table of sidecars."""


def same_but_for_hosts(one: str, other: str) -> bool:
    """Return whether two versions of a sidecar's route table are the same apart from the hosts in them."""
    return one.partition(".")[0] == other.partition(".")[0]


class Catalog:
    """The resources of one mesh, for the Envoys of one namespace.

    Args:
        mesh: The initial mesh.
        namespace: The namespace of the Envoys, which decides what a bare host name means.
        cache: Where built resources are kept. Catalogs of several namespaces share one cache.
    """

    def __init__(self, mesh: Mesh, namespace: str = "", cache: Cache | None = None) -> None:
        self._mesh = mesh
        self._namespace = namespace
        self._cache = cache if cache is not None else Cache()
        # A resource is rebuilt on request if its subject changed after it was built. A mesh change therefore costs
        # nothing for resources that no Envoy requests any longer.
        self._id = next(_ids)
        self._clock = 0
        self._touched: dict[str, int] = {}
        self._all_touched = 0
        self.failures: dict[Key, str] = {}

    @property
    def mesh(self) -> Mesh:
        """The current mesh."""
        return self._mesh

    def resource(self, key: Key) -> Resource | None:
        """Return a resource with its version; None if it does not exist."""
        if len(key.name) > NAME_MAX:
            return self._build(key)
        where = (self._id, key)
        entry = self._cache.get(where)
        if entry is None or entry.built < max(self._all_touched, self._touched.get(entry.subject, 0)):
            built = self._build(key, entry.resource if entry else None)
            entry = Entry(built, self.subject(key), self._clock)
            self._cache.put(where, entry, key.name)
        return entry.resource

    def subject(self, key: Key) -> str:
        """Return the service that a resource depends on, or `SETTINGS` or `EDGES`."""
        if key.type_url == ROUTES:
            return SETTINGS if key.name == OUTBOUND_ROUTES else EDGES
        if key.type_url == FILTERS:
            return EDGES
        return self.subject_of(key.name)

    def subject_of(self, name: str) -> str:
        """Return the service that a cluster's name stands for, or ""."""
        target = self._target(name)
        return target.host if target else ""

    def outbound_routes(self, hosts: tuple[str, ...]) -> Resource | None:
        """Return the route table of a sidecar.

        Its version starts with the version of the table without hosts (`same_but_for_hosts`).

        Args:
            hosts: The hosts to name in the table; the sidecar must hold their clusters.
        """
        base = self.resource(OUTBOUND)
        if base is None or not hosts:
            return base
        where = (self._id, base.version, hosts)
        if (entry := self._cache.get(where)) is None:
            made = _resource(base.name, with_hosts(RouteConfiguration.FromString(base.resource.value), hosts))
            made.version = f"{base.version}.{made.version}"
            entry = Entry(made, SETTINGS, self._clock)
            self._cache.put(where, entry, base.name)
        return entry.resource

    def wildcard_names(self, type_url: str, *, is_edge: bool) -> Sequence[str]:
        """Return what "*" covers: at an edge, the clusters of the services that it serves; otherwise nothing."""
        if not is_edge or type_url != CLUSTER:
            return ()
        settings = self._mesh.settings
        return sorted({*settings.edge_hosts.values(), *settings.edge_previews.values()})

    def is_backed(self, name: str) -> bool:
        """Return whether a cluster's name stands for something in the mesh; a client may have invented it."""
        target = self._target(name)
        if target is None or target.host not in self._mesh.services:
            return False
        return target.deployment is None or self._mesh.deployment(target.host, target.deployment) is not None

    def has_endpoints(self, name: str) -> bool:
        """Return whether Envoy requests a cluster's endpoints. Other clusters contain theirs, or have none."""
        resource = self.resource(Key(CLUSTER, name))
        return resource is not None and Cluster.FromString(resource.resource.value).type == Cluster.EDS

    def may_serve(self, name: str) -> bool:
        """Return whether a cluster can have an instance: its own, or its fallback's."""
        target = self._target(name)
        falls_back = target is not None and target.falls_back and target.host in self._mesh.services
        return falls_back or self.is_backed(name)

    def replace(self, mesh: Mesh, touched: Iterable[str]) -> None:
        """Switch to another mesh.

        Args:
            mesh: The new mesh.
            touched: The subjects (services, `SETTINGS`, `EDGES`) that changed.
        """
        self._mesh = mesh
        self._clock += 1
        if len(self._touched) > _TOUCHED_MAX:
            self._all_touched = self._clock
            self._touched.clear()
        self._touched.update(dict.fromkeys(touched, self._clock))

    def _target(self, name: str) -> Target | None:
        return parse(name, self._mesh.settings.naming, self._namespace)

    def _message(self, key: Key) -> Message | None:
        if key.type_url == ROUTES:
            return route_table(key.name, self._mesh, self._namespace)
        if key.type_url == FILTERS:
            return self._filter(key.name)
        builder = _BUILDERS.get(key.type_url)
        return builder(key.name, self._target(key.name), self._mesh) if builder else None

    def _filter(self, name: str) -> Message | None:
        return token_check(name, self._mesh) or edge_settings(name, self._mesh) or outbound_manager(name)

    def _build(self, key: Key, last_good: Resource | None = None) -> Resource | None:
        try:
            message = self._message(key)
        except Exception as error:  # noqa: BLE001  a failure in one resource must not stop the others
            _log.exception("%s %r could not be built; the previous version stays in use", key.type_url, key.name)
            self._note_failure(key, str(error))
            return last_good
        self.failures.pop(key, None)
        return _resource(key.name, message) if message is not None else None

    def _note_failure(self, key: Key, why: str) -> None:
        self.failures[key] = why
        if len(self.failures) > _FAILURES_MAX:
            del self.failures[next(iter(self.failures))]


def _resource(name: str, message: Message) -> Resource:
    wrapped = packed(message)
    version = blake2b(wrapped.value, digest_size=6).hexdigest()
    return Resource(name=name, version=version, resource=wrapped)
