"""One Envoy's delta xDS conversation, as a state machine without I/O (xDS protocol, "Incremental xDS").

The inputs are requests and mesh changes. The outputs are responses, one at a time. The size of a response and the
work for it are bounded, so an Envoy with many names does not delay others. Invariants:

- Every name in a request is answered, each time it is requested.
- The session sends only resources that the Envoy subscribed to, and no version that the Envoy already has. "*"
  means the clusters of the services that an edge serves; for sidecars it means nothing.
- A rejected version is not sent again until the resource changes. `status` reports the rejection.
- An updated cluster is followed by its endpoints: Envoy waits for them even if they did not change.
- An edge's routes never refer to a cluster covered by "*" that the edge has not received. New routes wait until the
  edge has acknowledged the endpoints of their new clusters. A cluster that "*" no longer covers is removed after
  the routes that referred to it are replaced.
- A sidecar's route table names only hosts whose clusters the sidecar holds (`detour.xds.outbound_table`).
- Names that clients invent are bounded in bytes (`detour.xds.kept_names`). Withdrawn clusters are sent again once
  the mesh has them.
"""

from collections import defaultdict
from collections.abc import Iterable, KeysView
from itertools import islice
from typing import Final

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest as Request
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse as Response
from envoy.service.discovery.v3.discovery_pb2 import Resource

from detour.xds.catalog import (
    CLUSTER,
    EDGES,
    ENDPOINTS,
    FILTERS,
    OUTBOUND,
    ROUTES,
    TYPES,
    Catalog,
    Key,
    same_but_for_hosts,
)
from detour.xds.draft import Draft
from detour.xds.edge.route_gate import RouteGate
from detour.xds.holdings import Holdings, Limits, Shared
from detour.xds.in_flight import InFlight, Sent
from detour.xds.kept_names import KeptNames
from detour.xds.outbound_table import OutboundTable
from detour.xds.rejections import Rejection, Rejections
from detour.xds.subscription import WILDCARD, Subscription

NAMES_AT_ONCE: Final = 50
"""Maximum number of names processed before other connections get their turn: 5 to 10 ms of work."""

_SIDECAR_TYPES: Final = (CLUSTER, ENDPOINTS, ROUTES, FILTERS)
"""Send order for sidecars. A connection manager without a route table answers 404, so the table comes first."""

_EVERYTHING: Final = Key(CLUSTER, WILDCARD)


class Session:
    """The state of one stream. `receive` and `changed` take inputs; `respond` returns the next response.

    Args:
        catalog: Builds the resources.
        is_edge: Whether the Envoy is an edge.
        limits: How much the server keeps for this Envoy.
        shared: How much the server keeps for all Envoys together; by default unlimited.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        is_edge: bool = False,
        limits: Limits | None = None,
        shared: Shared | None = None,
    ) -> None:
        self._catalog = catalog
        self._is_edge = is_edge
        self._mesh = catalog.mesh
        self._subscriptions: defaultdict[str, Subscription] = defaultdict(Subscription)
        self._holdings = Holdings(limits or Limits(), self._is_backed, shared or Shared())
        self._kept = KeptNames(catalog, self._subscriptions, self._holdings, self._forgotten)
        self._rejections = Rejections()
        self._in_flight = InFlight()
        self._updated: set[str] = set()
        """Updated clusters whose endpoints the Envoy has not subscribed to yet."""
        self._gate = RouteGate()
        self._unsupported: list[Response] = []
        self._table = OutboundTable(catalog, self._subscriptions)

    def receive(self, request: Request) -> None:
        """Process a request."""
        if request.type_url not in TYPES:
            self._refuse_type(request)
            return
        subscription = self._subscriptions[request.type_url]
        if request.response_nonce:
            self._settle(request, subscription)
        took_all = subscription.has_wildcard
        subscribes_to_all = subscription.take(request)
        if subscribes_to_all or took_all != subscription.has_wildcard:
            self._cover(request.type_url)
        if subscribes_to_all:
            # A client that subscribes to "*" again asks for everything again, whatever it has.
            for name in sorted(subscription.covered):
                subscription.schedule(name)
        self._release()

    def end(self) -> None:
        """Release what this stream takes of the limits that all streams share."""
        self._holdings.end()

    def changed(self, subjects: Iterable[str]) -> None:
        """Mark the resources of these subjects as possibly changed."""
        for subject in subjects:
            for key in self._kept.of(subject):
                if key != _EVERYTHING:
                    self._subscriptions[key.type_url].schedule_if_changed([key.name])
        self._table.changed(subjects)
        self._adopt_mesh()

    @property
    def is_due(self) -> bool:
        """Whether `respond` has something to do."""
        return bool(self._unsupported) or any(one.is_due for one in self._subscriptions.values())

    def respond(self) -> Response | None:
        """Do part of the pending work. Return a response if one is complete."""
        if self._unsupported:
            return self._unsupported.pop(0)
        if self._mesh is not self._catalog.mesh:
            # Routes are built from the current mesh, so the clusters that they refer to must be considered first.
            self._adopt_mesh()
        for type_url in TYPES if self._is_edge else _SIDECAR_TYPES:
            subscription = self._subscriptions.get(type_url)
            if subscription and subscription.is_due:
                return self._respond(type_url, subscription)
        return None

    @property
    def subjects(self) -> KeysView[str]:
        """The services that the Envoy subscribed to; `SETTINGS` or `EDGES` for resources that depend on those."""
        return self._kept.subjects

    @property
    def cluster_count(self) -> int:
        """The number of clusters that this session keeps up to date."""
        return len(self._subscriptions[CLUSTER].sent)

    @property
    def clusters(self) -> list[str]:
        """The clusters that the Envoy subscribed to and that can have an instance."""
        return [name for name in self._subscriptions[CLUSTER].sent if self._catalog.may_serve(name)]

    @property
    def acknowledged(self) -> dict[str, dict[str, str]]:
        """By type URL: the names that the Envoy holds, and the versions that it acknowledged."""
        return {type_url: dict(one.acknowledged) for type_url, one in self._subscriptions.items()}

    @property
    def pending(self) -> int:
        """The number of responses that the Envoy has neither acknowledged nor rejected yet."""
        return len(self._in_flight)

    @property
    def not_kept(self) -> int:
        """The number of names that were answered once but are not kept up to date, because there are too many."""
        return self._holdings.not_kept

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """The resources that the Envoy refused and has not replaced since."""
        return self._rejections.all

    def _refuse_type(self, request: Request) -> None:
        """Answer a request for an unsupported type: report every name as removed, and keep no state."""
        names = [name for name in request.resource_names_subscribe if name != WILDCARD]
        if request.response_nonce and not request.resource_names_subscribe:
            return
        response = Response(type_url=request.type_url, nonce=self._in_flight.next_nonce())
        response.removed_resources.extend(dict.fromkeys(names))
        self._unsupported.append(response)

    def _settle(self, request: Request, subscription: Subscription) -> None:
        """Process an acknowledgement or a rejection. A nonce that is not in flight is stale and is ignored."""
        sent = self._in_flight.settle(request.response_nonce, request.type_url)
        if sent is None:
            return
        if request.HasField("error_detail"):
            # The edge keeps what it had. Routes that wait for an acceptance that never comes would never be sent.
            self._gate.settle(sent.versions)
            self._rejections.add(request.type_url, sent.versions, request.error_detail.message)
            return
        if request.type_url == ENDPOINTS:
            self._gate.settle(sent.versions)
        # Envoy may have unsubscribed from some of them while the response was on its way.
        held = {name: version for name, version in sent.versions.items() if name in subscription.sent}
        subscription.acknowledged.update(held)
        self._rejections.discard(request.type_url, sent.versions)
        if request.type_url in {CLUSTER, ENDPOINTS}:
            self._table.held(held)

    def _resource(self, key: Key) -> Resource | None:
        if not self._is_edge and self._table.delays(key):
            return None
        return self._table.resource() if key == OUTBOUND else self._catalog.resource(key)

    def _adopt_mesh(self) -> None:
        """Adopt the current mesh: update what "*" covers, and what the routes have to wait for."""
        self._mesh = self._catalog.mesh
        for type_url, subscription in self._subscriptions.items():
            if subscription.has_wildcard:
                self._cover(type_url)
        self._gate.keep_waiting_for(self._catalog.has_endpoints)
        self._release()

    def _cover(self, type_url: str) -> None:
        """Send the resources that "*" newly covers, and release those that it no longer covers."""
        subscription = self._subscriptions[type_url]
        added, gone = subscription.cover(self._catalog.wildcard_names(type_url, is_edge=self._is_edge))
        if type_url != CLUSTER or not self._is_edge:
            return
        if not subscription.has_wildcard:
            self._stop_covering(gone)
            return
        self._kept.watch(EDGES, _EVERYTHING)
        self._gate.leave(gone)
        self._gate.stay(added)
        new = [name for name in added if name not in subscription.sent or self._holdings.is_withdrawn(name)]
        for name in new:
            subscription.schedule(name)
        self._gate.enter(
            name for name in new if name not in subscription.claims and self._catalog.has_endpoints(name)
        )

    def _stop_covering(self, gone: Iterable[str]) -> None:
        for name in {*gone, *self._gate.stop()}:
            self._kept.forget(Key(CLUSTER, name))
        self._kept.unwatch(EDGES, _EVERYTHING)

    def _release(self) -> None:
        """Release routes whose clusters are ready, then clusters that no route refers to any longer."""
        routes = self._subscriptions.get(ROUTES)
        if routes and self._gate.release_routes():
            routes.schedule_if_changed(routes.sent)
        if leaving := self._gate.release_clusters(lambda: not (routes and self._are_routes_unsettled(routes))):
            self._subscriptions[CLUSTER].schedule_if_changed(leaving)

    def _are_routes_unsettled(self, routes: Subscription) -> bool:
        """Return whether the Envoy may still use routes that are older than the mesh."""
        return routes.is_due or self._rejections.has(ROUTES) or self._in_flight.has(ROUTES)

    def _respond(self, type_url: str, subscription: Subscription) -> Response | None:
        nonce = self._in_flight.next_nonce()
        draft = Draft(Response(type_url=type_url, nonce=nonce))
        for _ in range(NAMES_AT_ONCE):
            if not subscription.due or draft.is_full:
                break
            name, is_forced = subscription.due.popitem(last=False)
            self._consider(Key(type_url, name), draft, is_forced=is_forced)
        self._withdraw(subscription, draft)
        if draft.is_empty and (subscription.due or not subscription.owes_response):
            self._release()
            return None
        subscription.owes_response = False
        # An acknowledgement of a dropped response is stale when it comes, so routes must not wait for it.
        for dropped in self._in_flight.add(nonce, Sent(type_url, draft.versions)):
            if dropped.type_url in {CLUSTER, ENDPOINTS}:
                self._gate.settle(dropped.versions)
        self._release()
        return draft.response

    def _withdraw(self, subscription: Subscription, draft: Draft) -> None:
        """Add removals to a response. A name that the same response also sends is removed by the next one."""
        sent_now = {resource.name for resource in draft.response.resources}
        for name in list(islice(subscription.removed, NAMES_AT_ONCE)):
            if name not in sent_now and draft.has_room(len(name)):
                del subscription.removed[name]
                draft.remove(name)

    def _consider(self, key: Key, draft: Draft, *, is_forced: bool) -> None:
        """Process one name: add it to the response if it has to be sent."""
        subscription = self._subscriptions[key.type_url]
        claim = subscription.claims.pop(key.name, None)
        if not subscription.wants(key.name):
            # Without "*", Envoy knows that it unsubscribed. With "*", it waits for the server to decide.
            was_held = key.name in subscription.sent or claim is not None or is_forced
            self._kept.forget(key)
            if subscription.has_wildcard and was_held:
                draft.remove(key.name)
            return
        if key.type_url == CLUSTER and (is_forced or claim is not None):
            self._kept.withdraw_others(key.name)
        # A reconnecting Envoy has this version and needs no other one, unless its cluster was updated while it
        # was away: it then waits for endpoints even if they are the same.
        if claim is not None:
            is_forced = key.type_url == ENDPOINTS and key.name in self._updated
        is_kept = self._kept.keep(key, claim or "")
        if claim is not None and is_kept:
            subscription.acknowledged[key.name] = claim
        if is_forced or (is_kept and self._is_stale(key)):
            self._put(key, draft, is_kept=is_kept)

    def _is_backed(self, name: str) -> bool:
        """Return whether a cluster stands for something: "*" may cover services that the mesh lacks."""
        return name in self._subscriptions[CLUSTER].covered or self._catalog.is_backed(name)

    def _forgotten(self, key: Key) -> None:
        """Remove the other state of a name after the server has stopped keeping it."""
        self._rejections.discard(key.type_url, [key.name])
        if key.type_url == CLUSTER:
            self._gate.settle([key.name])
            self._updated.discard(key.name)

    def _is_stale(self, key: Key) -> bool:
        if key.type_url == ROUTES and self._gate.hold_routes():
            return False
        # Envoy never requests a withdrawn cluster again, so the server sends it once the mesh has it.
        if key.type_url == CLUSTER and self._holdings.is_withdrawn(key.name):
            return self._is_backed(key.name)
        if key == OUTBOUND and self._table.has_new_hosts:
            return True
        resource = self._catalog.resource(key)
        # A resource that could not be built is not a removed one: Envoy keeps what it has.
        if resource is None and key in self._catalog.failures:
            return False
        version, sent = resource.version if resource else "", self._subscriptions[key.type_url].sent[key.name]
        return not same_but_for_hosts(version, sent) if key == OUTBOUND else version != sent

    def _put(self, key: Key, draft: Draft, *, is_kept: bool) -> None:
        subscription = self._subscriptions[key.type_url]
        resource = self._resource(key)
        size = resource.ByteSize() if resource else len(key.name)
        if not draft.has_room(size):
            # The next response starts with it.
            subscription.names.add(key.name)
            subscription.schedule_first(key.name)
            return
        if key.type_url == CLUSTER:
            subscription.removed.pop(key.name, None)
        if is_kept:
            version = resource.version if resource else ""
            self._schedule_endpoints(key, version)
            subscription.sent[key.name] = draft.versions[key.name] = version
            if key == OUTBOUND:
                self._table.sent()
        if resource:
            draft.put(resource, size)
        else:
            draft.remove(key.name)

    def _schedule_endpoints(self, key: Key, version: str) -> None:
        """Schedule the endpoints of an updated cluster. A reconnecting Envoy may subscribe to them later."""
        if key.type_url == ENDPOINTS:
            self._updated.discard(key.name)
        if key.type_url != CLUSTER:
            return
        self._holdings.restore(key.name)
        before = self._subscriptions[CLUSTER].sent[key.name]
        # Envoy requests the endpoints of a new cluster itself, and keeps those of one that did not change.
        if before in {"", version}:
            return
        endpoints = self._subscriptions[ENDPOINTS]
        if key.name in endpoints.sent:
            endpoints.schedule(key.name)
        else:
            self._updated.add(key.name)
