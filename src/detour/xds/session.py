"""One Envoy's delta xDS conversation, as a state machine without I/O (xDS protocol, "Incremental xDS").

Requests and changes of the mesh go in; responses come out. What always holds:

- a name that is asked for is answered, each time that it is asked for;
- nothing is sent that was not asked for, nor a version again that the Envoy has; an edge that asks for everything
  means the services that it serves;
- a rejected version is not sent again until the resource changes, and the rejection is kept for `status`;
- an updated cluster is followed by its endpoints: Envoy waits for them even if they are the same;
- an edge's routes wait until it has acknowledged the endpoints of what they newly lead to;
- names that clients make up are bounded: the oldest clusters are withdrawn. Envoy never asks again for a cluster
  that it was sent and lost, so a withdrawn name stays on record, and is sent once the mesh has something by it.
"""

from collections import defaultdict
from collections.abc import Iterable, KeysView, Sequence
from dataclasses import dataclass, field
from typing import Final

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest as Request
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse as Response

from detour.xds.catalog import CLUSTER, EDGES, ENDPOINTS, FILTERS, ROUTES, Catalog, Key

UNBACKED_MAX: Final = 2000
"""How many clusters one Envoy may hold that stand for nothing in the mesh: missing deployments, hosts outside."""

# Clusters before their endpoints, both before the routes that lead to them (xDS protocol, "Eventual consistency
# considerations").
_ORDER: Final = (CLUSTER, ENDPOINTS, FILTERS, ROUTES)
_WILDCARD: Final = "*"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Resources that an Envoy refused, and why, in its own words."""

    type_url: str
    names: tuple[str, ...]
    message: str


@dataclass(slots=True)
class _Subscription:
    """What an Envoy wants of one type: names to the version last sent (or claimed), and to the one acknowledged."""

    answered: bool = False
    sent: dict[str, str] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)
    in_flight: dict[str, dict[str, str]] = field(default_factory=dict)


class Session:
    """The state of one stream.

    Args:
        catalog: Where resources come from.
        is_edge: Whether the Envoy is an edge.
        unbacked_max: How many clusters that stand for nothing in the mesh the Envoy may hold.
    """

    def __init__(self, catalog: Catalog, *, is_edge: bool = False, unbacked_max: int = UNBACKED_MAX) -> None:
        self._catalog = catalog
        self._is_edge = is_edge
        self._unbacked_max = unbacked_max
        self._subscriptions: defaultdict[str, _Subscription] = defaultdict(_Subscription)
        self._subjects: defaultdict[str, set[Key]] = defaultdict(set)
        self._unbacked: dict[str, None] = {}
        self._withdrawn: set[str] = set()
        self._rejections: dict[Key, Rejection] = {}
        self._takes_all = False
        self._awaited: set[str] = set()
        self._last_nonce = 0

    def receive(self, request: Request) -> list[Response]:
        """Take a request; return what is to be sent, in order."""
        subscription = self._subscriptions[request.type_url]
        waited = bool(self._awaited)
        if request.response_nonce:
            self._settle(request, subscription)
        self._claim(request, subscription)
        for name in request.resource_names_unsubscribe:
            self._forget(Key(request.type_url, name))
        names = [name for name in request.resource_names_subscribe if name != _WILDCARD]
        wanted = dict.fromkeys([*names, *self._meant(request, subscription)])
        responses = self._answer(request, subscription, wanted)
        responses += self._withdraw(request.type_url, names)
        routes = self._stale_routes() if waited and not self._awaited else []
        return [*responses, self._respond(ROUTES, routes)] if routes else responses

    def changed(self, subjects: Iterable[str]) -> list[Response]:
        """Return what is to be sent after the catalog changed in these subjects."""
        subjects = set(subjects)
        added = self._newly_served() if EDGES in subjects else []
        keys = dict.fromkeys([*added, *(key for subject in subjects for key in self._subjects.get(subject, ()))])
        stale = {
            type_url: [key for key in keys if key.type_url == type_url and self._is_stale(key)]
            for type_url in (CLUSTER, ENDPOINTS, FILTERS)
        }
        updated = {key.name for key in stale[CLUSTER]}
        stale[ENDPOINTS] = [
            key for key in keys if key.type_url == ENDPOINTS and (key in stale[ENDPOINTS] or key.name in updated)
        ]
        self._await(added)
        stale[ROUTES] = self._stale_routes()
        return [self._respond(type_url, stale[type_url]) for type_url in _ORDER if stale[type_url]]

    @property
    def subjects(self) -> KeysView[str]:
        """The services that the Envoy has asked for, and "" for what depends on the mesh's settings."""
        return self._subjects.keys()

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
        return sum(len(subscription.in_flight) for subscription in self._subscriptions.values())

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """What the Envoy refused and has not replaced since."""
        return tuple(dict.fromkeys(self._rejections.values()))

    def _settle(self, request: Request, subscription: _Subscription) -> None:
        """Take an acknowledgement or a rejection; a nonce that is not in flight is stale and says nothing."""
        versions = subscription.in_flight.pop(request.response_nonce, None)
        if versions is None:
            return
        keys = [Key(request.type_url, name) for name in versions]
        if request.type_url == ENDPOINTS or request.HasField("error_detail"):
            self._awaited.difference_update(versions)
        if request.HasField("error_detail"):
            rejection = Rejection(request.type_url, tuple(versions), request.error_detail.message)
            self._rejections.update(dict.fromkeys(keys, rejection))
            return
        held = {name: version for name, version in versions.items() if name in subscription.sent}
        subscription.acknowledged.update(held)
        for key in keys:
            self._rejections.pop(key, None)

    def _claim(self, request: Request, subscription: _Subscription) -> None:
        """Believe what a reconnecting Envoy says it holds: versions are made of content."""
        for name, version in request.initial_resource_versions.items():
            self._note(Key(request.type_url, name), version)
            subscription.acknowledged[name] = version

    def _meant(self, request: Request, subscription: _Subscription) -> Sequence[str]:
        """Return the names that an Envoy means which asks for everything: it opens with no name, or says "*"."""
        says_all = _WILDCARD in request.resource_names_subscribe
        opens = not (subscription.answered or request.resource_names_subscribe)
        if not self._is_edge or request.type_url != CLUSTER or not (says_all or opens):
            return ()
        self._takes_all = True
        self._await(self._newly_served())
        return self._catalog.served_at_edges()

    def _newly_served(self) -> list[Key]:
        """Return the clusters that an edge is to have, and was never sent."""
        if not self._takes_all:
            return []
        has = self._subscriptions[CLUSTER].sent
        added = [Key(CLUSTER, name) for name in self._catalog.served_at_edges() if name not in has]
        for key in added:
            self._note(key, "")
        return added

    def _await(self, added: Iterable[Key]) -> None:
        """Let routes wait for the endpoints of these clusters, those that have any."""
        awaited = (*self._awaited, *(key.name for key in added))
        self._awaited = {name for name in awaited if self._catalog.has_endpoints(name)}

    def _stale_routes(self) -> list[Key]:
        """Return the route tables to send now: none while one is awaited that they lead to."""
        if self._awaited:
            return []
        keys = [Key(ROUTES, name) for name in self._subscriptions[ROUTES].sent]
        return [key for key in keys if self._is_stale(key)]

    def _answer(self, request: Request, subscription: _Subscription, names: Iterable[str]) -> list[Response]:
        held = request.initial_resource_versions
        keys = [Key(request.type_url, name) for name in names]
        for key in keys:
            self._note(key, held.get(key.name, ""))
        wanted = [key for key in keys if key.name not in held or self._is_stale(key)]
        if request.type_url == ROUTES and self._awaited:
            wanted = [key for key in wanted if key.name not in held]
        is_first, subscription.answered = not subscription.answered, True
        # A subscription to everything opens with no name: there is nothing to send, but Envoy waits for an answer.
        return [self._respond(request.type_url, wanted)] if wanted or is_first else []

    def _note(self, key: Key, version: str) -> None:
        self._subscriptions[key.type_url].sent[key.name] = version
        self._subjects[self._catalog.subject(key)].add(key)

    def _forget(self, key: Key) -> None:
        subscription = self._subscriptions[key.type_url]
        subscription.sent.pop(key.name, None)
        subscription.acknowledged.pop(key.name, None)
        subject = self._catalog.subject(key)
        self._subjects[subject].discard(key)
        if not self._subjects[subject]:
            del self._subjects[subject]
        self._rejections.pop(key, None)
        if key.type_url == CLUSTER:
            self._unbacked.pop(key.name, None)
            self._withdrawn.discard(key.name)

    def _is_stale(self, key: Key) -> bool:
        if key.type_url == CLUSTER and key.name in self._withdrawn:
            return self._catalog.is_backed(key.name)
        resource = self._catalog.resource(key)
        return (resource.version if resource else "") != self._subscriptions[key.type_url].sent[key.name]

    def _respond(self, type_url: str, keys: Iterable[Key]) -> Response:
        response = self._response(type_url)
        subscription = self._subscriptions[type_url]
        versions = subscription.in_flight[response.nonce]
        for key in keys:
            if type_url == CLUSTER:
                self._withdrawn.discard(key.name)
            resource = self._catalog.resource(key)
            subscription.sent[key.name] = versions[key.name] = resource.version if resource else ""
            if resource:
                response.resources.append(resource)
            else:
                response.removed_resources.append(key.name)
        return response

    def _withdraw(self, type_url: str, names: Iterable[str]) -> list[Response]:
        """Keep the number of made-up clusters bounded, the oldest first."""
        if type_url != CLUSTER:
            return []
        self._unbacked.update(dict.fromkeys(name for name in names if not self._catalog.is_backed(name)))
        if len(self._unbacked) <= self._unbacked_max:
            return []
        for name in [name for name in self._unbacked if self._catalog.is_backed(name)]:
            del self._unbacked[name]
        oldest = list(self._unbacked)[: max(0, len(self._unbacked) - self._unbacked_max)]
        if not oldest:
            return []
        for name in oldest:
            del self._unbacked[name]
            self._subscriptions[CLUSTER].acknowledged.pop(name, None)
        self._withdrawn.update(oldest)
        response = self._response(CLUSTER)
        response.removed_resources.extend(oldest)
        return [response]

    def _response(self, type_url: str) -> Response:
        self._last_nonce += 1
        nonce = str(self._last_nonce)
        self._subscriptions[type_url].in_flight[nonce] = {}
        return Response(type_url=type_url, nonce=nonce)
