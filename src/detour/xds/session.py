"""One Envoy's delta xDS conversation, as a state machine without I/O (xDS protocol, "Incremental xDS").

Requests and changes of the mesh go in; responses come out, one at a time and each of bounded size and work, so that
many names hold up nobody else. What always holds:

- a name that is asked for is answered, each time that it is asked for;
- nothing is sent that was not asked for, nor a version again that the Envoy has; "*" stands for the clusters of the
  services that an edge serves, and for nothing elsewhere;
- a rejected version is not sent again until the resource changes, and the rejection is kept for `status`;
- an updated cluster is followed by its endpoints: Envoy waits for them even if they are the same;
- an edge's routes lead to no cluster that "*" stands for and that it was not sent; they wait until it has
  acknowledged the endpoints of what they newly lead to. A cluster that "*" no longer stands for is removed once the
  routes that led there are replaced;
- a sidecar's route table names hosts whose clusters the sidecar surely has (`detour.xds.known_hosts`);
- what clients make up is bounded in bytes (`detour.xds.holdings`). Envoy never asks again for a cluster that it was
  sent and lost, so the name of one that was withdrawn stays on record: it is sent once the mesh has it.
"""

from collections import defaultdict
from collections.abc import Iterable, KeysView
from dataclasses import dataclass
from itertools import islice
from typing import Final

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest as Request
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse as Response
from envoy.service.discovery.v3.discovery_pb2 import Resource

from detour.envoy.vocabulary import OUTBOUND_MANAGERS
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
from detour.xds.edge.route_gate import RouteGate
from detour.xds.holdings import Holdings, Limits, Shared, is_keepable
from detour.xds.in_flight import InFlight, Sent
from detour.xds.known_hosts import KnownHosts
from detour.xds.subscription import WILDCARD, Subscription

RESPONSE_BYTES: Final = 1_000_000
"""No response is larger, unless a single resource is."""

NAMES_AT_ONCE: Final = 50
"""How many names are looked at in one go, before others have their turn: 5 to 10 ms."""

_MESSAGE_MAX: Final = 2000
"""Of a rejection's reason so many characters are kept."""

_SIDECAR_TYPES: Final = (CLUSTER, ENDPOINTS, ROUTES, FILTERS)
"""The order for sidecars: their connection manager needs a route table from its first request on."""

_MANAGERS: Final = tuple(Key(FILTERS, name) for name in OUTBOUND_MANAGERS)
_EVERYTHING: Final = Key(CLUSTER, WILDCARD)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Resources that an Envoy refused, and why, in its own words."""

    type_url: str
    names: tuple[str, ...]
    message: str


@dataclass(slots=True)
class _Draft:
    """A response in the making, and the versions in it that are to be acknowledged."""

    response: Response
    versions: dict[str, str]
    size: int = 0
    is_full: bool = False

    def has_room(self, size: int) -> bool:
        """Say whether so many bytes more can be part of it; the first can, whatever their number."""
        self.is_full = self.is_full or bool(self.size and self.size + size > RESPONSE_BYTES)
        return not self.is_full

    @property
    def is_empty(self) -> bool:
        return not (self.response.resources or self.response.removed_resources)


class Session:
    """The state of one stream: `receive` and `changed` take what happens, `respond` gives what is to be sent.

    Args:
        catalog: Where resources come from.
        is_edge: Whether the Envoy is an edge.
        limits: What the Envoy may have the server keep.
        shared: What all Envoys together may; by default there is no other.
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
        self._holdings = Holdings(limits or Limits(), catalog.is_backed, shared or Shared())
        self._subjects: defaultdict[str, set[Key]] = defaultdict(set)
        self._rejections: dict[Key, Rejection] = {}
        self._in_flight = InFlight()
        self._updated: set[str] = set()
        """Clusters that were sent anew, and whose endpoints are not known yet to have been asked for."""
        self._gate = RouteGate()
        self._unserved: list[Response] = []
        self._hosts = KnownHosts(catalog)
        self._names_hosts = False
        """Whether the route table is to be sent because of the hosts that it names."""

    def receive(self, request: Request) -> None:
        """Take a request."""
        if request.type_url not in TYPES:
            self._refuse_type(request)
            return
        subscription = self._subscriptions[request.type_url]
        if request.response_nonce:
            self._settle(request, subscription)
        took_all = subscription.takes_all
        asks_for_all = subscription.take(request)
        if asks_for_all or took_all != subscription.takes_all:
            self._cover(request.type_url)
        if asks_for_all:
            for name in sorted(subscription.covered):
                subscription.ask(name)
        self._proceed()

    def end(self) -> None:
        """Leave to other streams what this one shares with them."""
        self._holdings.end()

    def changed(self, subjects: Iterable[str]) -> None:
        """Take note that the catalog changed in these subjects."""
        for subject in subjects:
            for key in self._subjects.get(subject, ()):
                if key != _EVERYTHING:
                    self._subscriptions[key.type_url].check([key.name])
        if self._hosts.are_fewer(subjects):
            self._name_hosts()
        self._look_again()

    @property
    def is_due(self) -> bool:
        """Whether `respond` has something to do."""
        return bool(self._unserved) or any(one.is_due for one in self._subscriptions.values())

    def respond(self) -> Response | None:
        """Do a part of what is due; return a response if it makes one."""
        if self._unserved:
            return self._unserved.pop(0)
        if self._mesh is not self._catalog.mesh:
            # Routes are built of the mesh as it is: clusters that they lead to come before them.
            self._look_again()
        for type_url in TYPES if self._is_edge else _SIDECAR_TYPES:
            subscription = self._subscriptions.get(type_url)
            if subscription and subscription.is_due:
                return self._respond(type_url, subscription)
        return None

    @property
    def subjects(self) -> KeysView[str]:
        """The services that the Envoy has asked for, and `SETTINGS` and `EDGES` for what depends on those."""
        return self._subjects.keys()

    @property
    def cluster_count(self) -> int:
        """How many clusters the Envoy is kept up to date of."""
        return len(self._subscriptions[CLUSTER].sent)

    @property
    def clusters(self) -> list[str]:
        """The clusters that the Envoy has asked for, and that may have an instance."""
        return [name for name in self._subscriptions[CLUSTER].sent if self._catalog.may_serve(name)]

    @property
    def acknowledged(self) -> dict[str, dict[str, str]]:
        """By type URL, the names that the Envoy holds with the versions that it acknowledged."""
        return {type_url: dict(one.acknowledged) for type_url, one in self._subscriptions.items()}

    @property
    def pending(self) -> int:
        """How many responses the Envoy has neither acknowledged nor rejected yet."""
        return len(self._in_flight)

    @property
    def unkept(self) -> int:
        """How many names were answered, but are not kept up to date because there are too many."""
        return self._holdings.unkept

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """What the Envoy refused and has not replaced since."""
        return tuple(dict.fromkeys(self._rejections.values()))

    def _refuse_type(self, request: Request) -> None:
        """Answer that there is nothing of a type that is not served, and keep nothing of it."""
        names = [name for name in request.resource_names_subscribe if name != WILDCARD]
        if request.response_nonce and not request.resource_names_subscribe:
            return
        response = Response(type_url=request.type_url, nonce=self._in_flight.next_nonce())
        response.removed_resources.extend(dict.fromkeys(names))
        self._unserved.append(response)

    def _settle(self, request: Request, subscription: Subscription) -> None:
        """Take an acknowledgement or a rejection; a nonce that is not in flight is stale and says nothing."""
        sent = self._in_flight.settle(request.response_nonce, request.type_url)
        if sent is None:
            return
        keys = [Key(request.type_url, name) for name in sent.versions]
        if request.HasField("error_detail"):
            self._gate.settle(sent.versions)
            message = request.error_detail.message[:_MESSAGE_MAX]
            rejection = Rejection(request.type_url, tuple(sent.versions), message)
            self._rejections.update(dict.fromkeys(keys, rejection))
            return
        if request.type_url == ENDPOINTS:
            self._gate.settle(sent.versions)
        held = {name: version for name, version in sent.versions.items() if name in subscription.sent}
        subscription.acknowledged.update(held)
        for key in keys:
            self._rejections.pop(key, None)
        if request.type_url in {CLUSTER, ENDPOINTS} and self._hosts.are_more(held, self._held):
            self._name_hosts()

    @property
    def _held(self) -> dict[str, dict[str, str]]:
        return {type_url: one.acknowledged for type_url, one in self._subscriptions.items()}

    def _name_hosts(self) -> None:
        """Have a sidecar's route table name the hosts that it may name now."""
        routes = self._subscriptions.get(ROUTES)
        if routes and OUTBOUND.name in routes.sent:
            self._names_hosts = True
            routes.check([OUTBOUND.name])

    def _resource(self, key: Key) -> Resource | None:
        if key in _MANAGERS and not self._is_edge and not self._subscriptions[ROUTES].sent.get(OUTBOUND.name):
            # None yet: without a route table it would answer 404. It follows the table.
            return None
        if key != OUTBOUND:
            return self._catalog.resource(key)
        self._names_hosts = False
        return self._catalog.outbound_routes(self._hosts.name(self._held))

    def _look_again(self) -> None:
        """Take the mesh as it is now: what "*" stands for, and what routes still have to wait for."""
        self._mesh = self._catalog.mesh
        for type_url, subscription in self._subscriptions.items():
            if subscription.takes_all:
                self._cover(type_url)
        self._gate.keep_waiting_for(self._catalog.has_endpoints)
        self._proceed()

    def _cover(self, type_url: str) -> None:
        """Send what "*" newly stands for, and let go of the rest."""
        subscription = self._subscriptions[type_url]
        added, gone = subscription.cover(self._catalog.everything(type_url, is_edge=self._is_edge))
        if type_url != CLUSTER or not self._is_edge:
            return
        if not subscription.takes_all:
            self._stop_covering(gone)
            return
        self._subjects[EDGES].add(_EVERYTHING)
        self._gate.leave(gone)
        self._gate.stay(added)
        new = [name for name in added if name not in subscription.sent or self._holdings.is_withdrawn(name)]
        for name in new:
            subscription.ask(name)
        self._gate.enter(
            name for name in new if name not in subscription.claims and self._catalog.has_endpoints(name)
        )

    def _stop_covering(self, gone: Iterable[str]) -> None:
        for name in {*gone, *self._gate.stop()}:
            self._forget(Key(CLUSTER, name))
        self._subjects[EDGES].discard(_EVERYTHING)
        if not self._subjects[EDGES]:
            del self._subjects[EDGES]

    def _proceed(self) -> None:
        """Let routes go that have waited long enough, and then the clusters that nothing leads to any more."""
        routes = self._subscriptions.get(ROUTES)
        if routes and self._gate.release_routes():
            routes.check(routes.sent)
        if leaving := self._gate.release_clusters(lambda: not (routes and self._are_routes_unsettled(routes))):
            self._subscriptions[CLUSTER].check(leaving)

    def _are_routes_unsettled(self, routes: Subscription) -> bool:
        """Say whether the Envoy may still use routes that are older than the mesh."""
        refused = any(key.type_url == ROUTES for key in self._rejections)
        return routes.is_due or refused or self._in_flight.has(ROUTES)

    def _respond(self, type_url: str, subscription: Subscription) -> Response | None:
        nonce = self._in_flight.next_nonce()
        draft = _Draft(Response(type_url=type_url, nonce=nonce), {})
        for _ in range(NAMES_AT_ONCE):
            if not subscription.due or draft.is_full:
                break
            name, is_asked = subscription.due.popitem(last=False)
            self._consider(Key(type_url, name), draft, is_asked=is_asked)
        self._withdraw(subscription, draft)
        if draft.is_empty and (subscription.due or not subscription.owes):
            self._proceed()
            return None
        subscription.owes = False
        for given_up in self._in_flight.add(nonce, Sent(type_url, draft.versions)):
            if given_up.type_url in {CLUSTER, ENDPOINTS}:
                self._gate.settle(given_up.versions)
        self._proceed()
        return draft.response

    def _withdraw(self, subscription: Subscription, draft: _Draft) -> None:
        """Remove clusters; one that this very response brings goes with the next."""
        sent_now = {resource.name for resource in draft.response.resources}
        for name in list(islice(subscription.removed, NAMES_AT_ONCE)):
            if name not in sent_now and draft.has_room(len(name)):
                del subscription.removed[name]
                self._remove(name, draft)

    def _consider(self, key: Key, draft: _Draft, *, is_asked: bool) -> None:
        """Look at one name: put it into the response if it has to be sent."""
        subscription = self._subscriptions[key.type_url]
        claim = subscription.claims.pop(key.name, None)
        if not subscription.wants(key.name):
            was_held = key.name in subscription.sent or claim is not None or is_asked
            self._forget(key)
            if subscription.takes_all and was_held:
                self._remove(key.name, draft)
            return
        if key.type_url == CLUSTER and (is_asked or claim is not None):
            self._make_way(key.name)
        if claim is not None:
            is_asked = key.type_url == ENDPOINTS and key.name in self._updated
        is_kept = self._keep(key, claim)
        if claim is not None and is_kept:
            subscription.acknowledged[key.name] = claim
        if is_asked or (is_kept and self._is_stale(key)):
            self._put(key, draft, is_kept=is_kept)

    def _keep(self, key: Key, claim: str | None) -> bool:
        """Take a name on, to be kept up to date; return whether it is one of those that are."""
        subscription = self._subscriptions[key.type_url]
        if key.name in subscription.sent:
            return True
        if not (key.name in subscription.covered or self._has_room(key)):
            subscription.names.discard(key.name)
            return False
        self._holdings.keep(key)
        subscription.sent[key.name] = claim or ""
        self._subjects[self._catalog.subject(key)].add(key)
        return True

    def _make_way(self, name: str) -> None:
        """Have clusters withdrawn for one that an Envoy has or asks for, if that stands for nothing."""
        subscription = self._subscriptions[CLUSTER]
        if name in subscription.covered:
            return
        for withdrawn in self._holdings.withdraw_for(name):
            subscription.acknowledged.pop(withdrawn, None)
            subscription.removed[withdrawn] = None

    def _has_room(self, key: Key) -> bool:
        """Say whether one more name can be kept, if need be in place of one that the Envoy has lost anyway."""
        while is_keepable(key.name) and not self._holdings.fits(key):
            name = self._holdings.oldest_withdrawn()
            if name is None:
                break
            self._subscriptions[CLUSTER].names.discard(name)
            self._forget(Key(CLUSTER, name))
        if is_keepable(key.name) and self._holdings.fits(key):
            return True
        self._holdings.unkept += 1
        return False

    def _forget(self, key: Key) -> None:
        subscription = self._subscriptions[key.type_url]
        subscription.acknowledged.pop(key.name, None)
        self._rejections.pop(key, None)
        if key.type_url == CLUSTER:
            self._gate.settle([key.name])
            self._updated.discard(key.name)
        was_kept = subscription.sent.pop(key.name, None) is not None
        self._holdings.let_go(key, was_kept=was_kept)
        if not was_kept:
            return
        subject = self._catalog.subject(key)
        self._subjects[subject].discard(key)
        if not self._subjects[subject]:
            del self._subjects[subject]

    def _is_stale(self, key: Key) -> bool:
        if key.type_url == ROUTES and self._gate.hold_routes():
            return False
        if key.type_url == CLUSTER and self._holdings.is_withdrawn(key.name):
            return key.name in self._subscriptions[CLUSTER].covered or self._catalog.is_backed(key.name)
        if key == OUTBOUND and self._names_hosts:
            return True
        resource = self._catalog.resource(key)
        if resource is None and key in self._catalog.failures:
            return False
        version, sent = resource.version if resource else "", self._subscriptions[key.type_url].sent[key.name]
        return not same_but_for_hosts(version, sent) if key == OUTBOUND else version != sent

    def _put(self, key: Key, draft: _Draft, *, is_kept: bool) -> None:
        subscription = self._subscriptions[key.type_url]
        resource = self._resource(key)
        size = resource.ByteSize() if resource else len(key.name)
        if not draft.has_room(size):
            # The next response begins with it.
            subscription.names.add(key.name)
            subscription.ask_first(key.name)
            return
        if key.type_url == CLUSTER:
            subscription.removed.pop(key.name, None)
        if is_kept:
            version = resource.version if resource else ""
            self._follow_up(key, version)
            subscription.sent[key.name] = draft.versions[key.name] = version
            if key == OUTBOUND and FILTERS in self._subscriptions:
                managers = self._subscriptions[FILTERS]
                managers.check(name for name in managers.sent if name in OUTBOUND_MANAGERS)
        if resource:
            draft.response.resources.append(resource)
            draft.size += size
        else:
            self._remove(key.name, draft)

    def _follow_up(self, key: Key, version: str) -> None:
        """Have an updated cluster followed by its endpoints, which a reconnecting Envoy may name later."""
        if key.type_url == ENDPOINTS:
            self._updated.discard(key.name)
        if key.type_url != CLUSTER:
            return
        self._holdings.restore(key.name)
        before = self._subscriptions[CLUSTER].sent[key.name]
        if before in {"", version}:
            return
        endpoints = self._subscriptions[ENDPOINTS]
        if key.name in endpoints.sent:
            endpoints.ask(key.name)
        else:
            self._updated.add(key.name)

    def _remove(self, name: str, draft: _Draft) -> None:
        draft.response.removed_resources.append(name)
        draft.size += len(name)
