"""The known objects of a cluster, and the mesh that follows from them. Pure: no I/O.

Invariants: a pod with the label of an offloaded deployment is never an instance of a baseline, whatever selectors
and EndpointSlices say. Nor is a pod that is not known yet, is not Ready, or is being deleted. A mistake in one
object affects no other object, and is a line in `problems`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from detour import mesh
from detour.discovery.kubernetes.deployments import deployments_of
from detour.discovery.kubernetes.objects import (
    Deployment,
    EndpointSlice,
    Object,
    Pod,
    Service,
    SliceEndpoint,
)
from detour.discovery.kubernetes.services import service_of, why_not
from detour.kubernetes.labels import OFFLOADED, SERVICE, SERVICE_OF_SLICE
from detour.mesh import Mesh, MeshEvent, Naming, difference

_UNREAD = (
    "no request can reach it, for no port of its Service speaks HTTP that a sidecar reads; if one does, declare it"
    " (appProtocol: http or grpc)"
)


class Key(NamedTuple):
    """The namespace and the name of an object."""

    namespace: str
    name: str


def key_of(one: Object) -> Key:
    """Return the key of an object."""
    return Key(one.metadata.namespace, one.metadata.name)


class Inventory:
    """The objects of some namespaces, kept current by the events of watches.

    Args:
        naming: Maps Services to names in the mesh.
    """

    def __init__(self, naming: Naming) -> None:
        self._naming = naming
        self._services: dict[Key, Service] = {}
        self._services_in: dict[str, dict[Key, Service]] = {}
        self._pods: dict[Key, Pod] = {}
        self._slices: dict[Key, EndpointSlice] = {}
        self._deployments: dict[Key, Deployment] = {}
        # Indexes: the slices of a Service, those that point to a pod and those that don't; what is offloaded.
        self._slices_of: defaultdict[Key, set[Key]] = defaultdict(set)
        self._slices_with: defaultdict[Key, set[Key]] = defaultdict(set)
        self._slices_without_pods: set[Key] = set()
        self._offloaded: defaultdict[str, dict[tuple[type[Object], Key], Object]] = defaultdict(dict)
        self._changed: set[Key] = set()
        self._made: dict[Key, Mesh] = {}
        self._problems: dict[Key, tuple[str, ...]] = {}

    @property
    def problems(self) -> tuple[str, ...]:
        """Objects that cannot be part of the mesh as they are, a line each."""
        return tuple(line for _, lines in sorted(self._problems.items()) for line in lines)

    @property
    def namespaces(self) -> set[str]:
        """The namespaces that have Services."""
        return set(self._services_in)

    def services(self, namespace: str) -> list[Service]:
        """Return the Services of a namespace."""
        return list(self._services_in.get(namespace, {}).values())

    def labels_of(self, namespace: str, pod: str) -> Mapping[str, str] | None:
        """Return the labels of a pod; None if it is not known."""
        found = self._pods.get(Key(namespace, pod))
        return None if found is None else found.metadata.labels or {}

    def apply(self, one: Object) -> None:
        """Add or replace an object."""
        self.remove(one)
        key = key_of(one)
        match one:
            case Service():
                self._services[key] = one
                self._services_in.setdefault(key.namespace, {})[key] = one
            case Pod():
                self._pods[key] = one
            case EndpointSlice():
                self._slices[key] = one
                self._slices_of[_service_of_slice(one)].add(key)
                for pod in _pods_of(one):
                    self._slices_with[pod].add(key)
                if any(_pod_of(endpoint, key) is None for endpoint in one.endpoints or ()):
                    self._slices_without_pods.add(key)
            case Deployment():
                self._deployments[key] = one
        if _is_offloaded(one):
            self._offloaded[key.namespace][type(one), key] = one
        self._note(one)

    def remove(self, one: Object) -> None:
        """Remove an object, by its kind and name."""
        key, before = key_of(one), self._take(one)
        if before is None:
            return
        self._note(before)
        self._offloaded[key.namespace].pop((type(one), key), None)
        if isinstance(before, EndpointSlice):
            _discard(self._slices_of, _service_of_slice(before), key)
            for pod in _pods_of(before):
                _discard(self._slices_with, pod, key)
            self._slices_without_pods.discard(key)

    def events(self) -> tuple[MeshEvent, ...]:
        """Return the changes of the mesh since the last call."""
        changed, self._changed = self._changed, set()
        return tuple(event for key in sorted(changed) for event in self._remade(key))

    def _take(self, one: Object) -> Object | None:
        key = key_of(one)
        match one:
            case Service():
                return self._take_service(key)
            case Pod():
                return self._pods.pop(key, None)
            case EndpointSlice():
                return self._slices.pop(key, None)
        return self._deployments.pop(key, None)

    def _take_service(self, key: Key) -> Service | None:
        found = self._services.pop(key, None)
        if found:
            del self._services_in[key.namespace][key]
            if not self._services_in[key.namespace]:
                del self._services_in[key.namespace]
        return found

    def _note(self, one: Object) -> None:
        """Mark the Services that an object affects as changed."""
        key = key_of(one)
        match one:
            case Service():
                self._changed.add(key)
            case EndpointSlice():
                self._changed.add(_service_of_slice(one))
            case Pod():
                slices = self._slices_without_pods if _is_offloaded(one) else ()
                concerned = (*slices, *self._slices_with.get(key, ()))
                self._changed.update(_service_of_slice(self._slices[at]) for at in concerned)
        if _is_offloaded(one):
            self._changed.update(self._services_of(one))

    def _services_of(self, one: Object) -> Iterable[Key]:
        """Return the Services that an offloaded object may belong to."""
        if name := one.metadata.label(SERVICE):
            return [Key(one.metadata.namespace, name)]
        return [key for key, service in self._services.items() if _is_member(one, key, service)]

    def _remade(self, key: Key) -> tuple[MeshEvent, ...]:
        before, after = self._made.pop(key, Mesh()), self._make(key)
        if after.services or after.deployments:
            self._made[key] = after
        return difference(before, after)

    def _make(self, key: Key) -> Mesh:
        name, service = self._naming.name(key.name, key.namespace), self._services.get(key)
        problem = why_not(name, service) if service else ""
        usable = service if not problem else None
        offloaded = deployments_of(name, usable, self._members(key))
        services = [self._make_service(name, key, usable)] if usable else []
        made = Mesh.of(services, offloaded.made().values())
        self._problems.pop(key, None)
        is_unread = any(one.is_unread for one in services)
        unreachable = [f"{one}: {_UNREAD}" for one in made.deployments.values() if is_unread]
        if problems := (*((problem,) if problem else ()), *offloaded.problems, *unreachable):
            self._problems[key] = problems
        return made

    def _make_service(self, name: str, key: Key, service: Service) -> mesh.Service:
        def serves(endpoint: SliceEndpoint) -> bool:
            return endpoint.conditions.ready is not False and self._is_baseline(endpoint, key, service)

        slices = [one for at in self._slices_of.get(key, ()) if not _is_offloaded(one := self._slices[at])]
        return service_of(name, service, slices, serves)

    def _is_baseline(self, endpoint: SliceEndpoint, key: Key, service: Service) -> bool:
        at = _pod_of(endpoint, key)
        if at is None:
            return self._offloaded_addresses.isdisjoint(endpoint.addresses)
        pod, uid = self._pods.get(at), endpoint.target_ref.uid if endpoint.target_ref else ""
        if pod is None or _is_offloaded(pod) or uid not in {"", pod.metadata.uid}:
            return False
        is_up = pod.is_ready or (service.spec.publish_not_ready_addresses and not pod.is_ending)
        return is_up and set(endpoint.addresses[:1]) <= set(pod.addresses)

    @property
    def _offloaded_addresses(self) -> set[str]:
        offloaded = (one for objects in self._offloaded.values() for one in objects.values())
        return {address for one in offloaded if isinstance(one, Pod) for address in one.addresses}

    def _members(self, key: Key) -> Iterable[Object]:
        service, found = self._services.get(key), self._offloaded.get(key.namespace, {})
        return [one for one in found.values() if _is_member(one, key, service)]


def _is_offloaded(one: Object) -> bool:
    return OFFLOADED in (one.metadata.labels or {})


def _is_member(one: Object, key: Key, service: Service | None) -> bool:
    """Say whether an offloaded object belongs to a Service: it names it, or names none and is a pod it selects."""
    if one.metadata.namespace != key.namespace:
        return False
    if name := one.metadata.label(SERVICE):
        return name == key.name
    selector = (service.spec.selector if service else None) or {}
    return isinstance(one, Pod) and bool(selector) and selector.items() <= (one.metadata.labels or {}).items()


def _service_of_slice(one: EndpointSlice) -> Key:
    return Key(one.metadata.namespace, one.metadata.label(SERVICE_OF_SLICE))


def _pod_of(endpoint: SliceEndpoint, slice_at: Key) -> Key | None:
    reference = endpoint.target_ref
    if reference is None or reference.kind != "Pod":
        return None
    return Key(reference.namespace or slice_at.namespace, reference.name)


def _pods_of(one: EndpointSlice) -> Iterator[Key]:
    pods = (_pod_of(endpoint, key_of(one)) for endpoint in one.endpoints or ())
    return (pod for pod in pods if pod is not None)


def _discard(index: dict[Key, set[Key]], at: Key, key: Key) -> None:
    index[at].discard(key)
    if not index[at]:
        del index[at]
