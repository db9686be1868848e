"""Offloaded deployments in a cluster: created, rolled, extended, inspected and removed.

Invariant: the cluster's objects are all the state there is; any replica of the server can do any of this, and two
that do it at once do not undo each other (resourceVersion decides).
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Final
from uuid import uuid4

import msgspec

from detour.kubernetes.api import Api
from detour.kubernetes.kinds import DEPLOYMENTS, ENDPOINT_SLICES, EVENTS, PODS, REPLICA_SETS
from detour.kubernetes.labels import EXPIRES, OFFLOADED, OWNER
from detour.kubernetes.labels import SERVICE as SERVICE_LABEL
from detour.kubernetes.objects import Json, KubernetesObject
from detour.kubernetes.update import update
from detour.kubernetes.views import Deployment
from detour.mesh import Naming, OffloadedDeployment
from detour.offload.kubernetes.baselines import find_baseline
from detour.offload.kubernetes.claims import KNOWN, Claims
from detour.offload.kubernetes.copying import Wanted, make_copy, object_name
from detour.offload.kubernetes.errors import CannotCopyError, ClusterError
from detour.offload.kubernetes.objects import Event, Pod
from detour.offload.kubernetes.policies import notes_on, owned, twins_of
from detour.offload.kubernetes.progress import Progress, progress_of
from detour.offload.kubernetes.refusals import explained
from detour.offload.kubernetes.registered import moment, slices_of
from detour.offload.kubernetes.rollback import rolled_back, working_before
from detour.offload.kubernetes.selectors import Selection
from detour.offload.kubernetes.sidecars import is_sidecar
from detour.offload.kubernetes.singletons import reasons
from detour.offload.kubernetes.surroundings import Surroundings, surroundings
from detour.offload.ownership import expect_owner

_EVENTS: Final = EVENTS.read_as(Event)
_PODS: Final = PODS.read_as(Pod)
_SLICES: Final = ENDPOINT_SLICES.read_as(KubernetesObject)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a deployment is in the cluster.

    Args:
        namespace: Its namespace.
        service: The Service's name.
        name: The deployment's name.
    """

    namespace: str
    service: str
    name: str

    @property
    def object_name(self) -> str:
        """The name of its Deployment."""
        return object_name(self.service, self.name)

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of its objects."""
        return {SERVICE_LABEL: self.service, OFFLOADED: self.name}


@dataclass(frozen=True, slots=True)
class _Found:
    """What is in the cluster before a copy is made.

    Args:
        around: What it depends on.
        slices: The EndpointSlices of that name that are registered already.
        existing: The Deployment of that name; None if it does not exist.
    """

    around: Surroundings
    slices: Sequence[KubernetesObject]
    existing: Json | None


@dataclass(frozen=True, slots=True)
class _Made:
    """A new copy.

    Args:
        deployment: Its Deployment.
        policies: Its NetworkPolicies, without an owner.
        notes: What its owner should know, a line each.
    """

    deployment: Json
    policies: Sequence[Json]
    notes: Sequence[str]


class ClusterDeployments:
    """The offloaded deployments of a cluster's namespaces.

    Args:
        api: The API server.
        naming: Maps Services to names in the mesh.
        claims: The labels and annotations that copies must not have.
    """

    def __init__(self, api: Api, naming: Naming, claims: Claims = KNOWN) -> None:
        self._api = api
        self._claims = claims
        self._naming = naming

    async def create(self, wanted: Wanted) -> Sequence[str]:
        """Make a copy of the live baseline, or roll the owner's own to what is wanted now.

        Args:
            wanted: The deployment; `service` is the service's name in the mesh.

        Returns:
            What the owner should know about the copy, a line each.

        Raises:
            CannotCopyError: It can't be made as requested.
            OwnedByAnotherError: Another user has a deployment of that name.
            ClusterError: The cluster refuses.
        """
        place = self._place(wanted.service, wanted.name)
        in_cluster = replace(wanted, service=place.service, roll=wanted.roll or uuid4().hex[:8])
        made = await update(
            lambda: self._found(place),
            lambda found: self._copy(found, in_cluster, place),
            lambda found, copy: self._put(place, copy, found.existing),
        )
        return made.notes if made else ()

    async def progress(self, service: str, name: str) -> Progress | None:
        """Return how far a deployment has come; None if no copy has that name.

        Raises:
            ClusterError: The cluster refuses.
        """
        place = self._place(service, name)
        deployment = await self._get(place)
        if deployment is None:
            return None
        pods = await self._pods(place)
        with explained("read events", place.namespace):
            events = await self._api.list(_EVENTS, place.namespace)
        return progress_of(deployment, pods, events)

    async def undo(self, service: str, name: str) -> str:
        """Undo a change that failed; return what was done.

        A copy that worked before it was rolled goes back to that; one that never worked is removed.

        Raises:
            ClusterError: The cluster refuses.
        """
        place = self._place(service, name)
        deployment = await self._whole(place)
        if deployment is None:
            return "it is gone"
        before = working_before(deployment, await self._replica_sets(place.namespace, deployment))
        if before is None:
            await self.remove(service, name)
            return "it was removed"
        with explained("change Deployments", place.namespace):
            # Replaced, not patched: fields that only the failed one has must go. A conflict is an error: another
            # caller has undone it meanwhile, or rolled it further.
            await self._api.replace(rolled_back(deployment, before))
        return "the one before is back"

    async def add(self, deployment: OffloadedDeployment) -> None:
        """Register endpoints that run somewhere, as EndpointSlices that belong to no Service.

        Raises:
            OwnedByAnotherError: Another user has a deployment of that name.
            CannotCopyError: The name can't be one in Kubernetes, or a copy has it.
            ClusterError: The cluster refuses.
        """
        place = self._place(*deployment.key)
        if existing := await self._get(place):
            expect_owner(self._described(existing), deployment.owner)
            raise CannotCopyError(f"{deployment} runs in the cluster already: remove it first")
        before = await self._slices(place)
        for one in before:
            expect_owner(self._described(one), deployment.owner)
        wanted = list(slices_of(deployment, place.service, place.namespace))
        names = {one["metadata"]["name"] for one in wanted}
        with explained("write EndpointSlices", place.namespace):
            for slice_ in wanted:
                await self._api.apply(slice_)
            for one in before:
                if one.metadata.name not in names:
                    await self._api.delete(ENDPOINT_SLICES, one.metadata.name, place.namespace)

    async def extend(self, service: str, name: str, expires: datetime) -> bool:
        """Set when a deployment expires; False if it does not exist.

        Raises:
            ClusterError: The cluster refuses.
        """
        place = self._place(service, name)
        patch: Json = {"metadata": {"annotations": {EXPIRES: moment(expires)}}}
        existing, slices = await self._get(place), await self._slices(place)
        with explained("change offloaded deployments", place.namespace):
            if existing:
                await self._api.patch(DEPLOYMENTS, existing.metadata.name, patch, place.namespace)
            for one in slices:
                await self._api.patch(ENDPOINT_SLICES, one.metadata.name, patch, place.namespace)
        return bool(existing or slices)

    async def remove(self, service: str, name: str) -> bool:
        """Remove a deployment; False if it does not exist.

        Raises:
            ClusterError: The cluster refuses.
        """
        place = self._place(service, name)
        existing, slices = await self._get(place), await self._slices(place)
        with explained("delete offloaded deployments", place.namespace):
            if existing:
                await self._api.delete(DEPLOYMENTS, existing.metadata.name, place.namespace)
            for one in slices:
                await self._api.delete(ENDPOINT_SLICES, one.metadata.name, place.namespace)
        return bool(existing or slices)

    async def log(self, service: str, name: str, *, tail: int, follow: bool = False) -> AsyncIterator[str]:
        """Yield the lines that a deployment's newest pod has written.

        Raises:
            ClusterError: It has no pod, or the cluster refuses.
        """
        place = self._place(service, name)
        pods = sorted(await self._pods(place), key=lambda pod: pod.metadata.creation_timestamp or "")
        if not pods:
            raise ClusterError(f"{service}@{name} has no pod yet, and therefore no log", HTTPStatus.NOT_FOUND)
        newest = pods[-1]
        with explained("read logs of pods", place.namespace):
            lines = self._api.log(
                place.namespace, newest.metadata.name, _main_container(newest), tail=tail, follow=follow
            )
            async with aclosing(lines):
                async for line in lines:
                    yield line

    async def log_of(self, service: str, pod: str, container: str, tail: int) -> list[str]:
        """Return the last lines of one container; none if it left none.

        Raises:
            ClusterError: The cluster refuses.
        """
        _, namespace = self._naming.place(service)
        with explained("read logs of pods", namespace):
            return [line async for line in self._api.log(namespace, pod, container, tail=tail)]

    def _place(self, service: str, name: str) -> _Place:
        at, namespace = self._naming.place(service)
        return _Place(namespace, at, name)

    async def _found(self, place: _Place) -> _Found:
        """Read what a new copy depends on; the name is checked before anything is read."""
        object_name(place.service, place.name)
        around = await surroundings(self._api, place.service, place.namespace)
        return _Found(around, await self._slices(place), await self._whole(place))

    def _copy(self, found: _Found, wanted: Wanted, place: _Place) -> _Made:
        around = found.around
        service = next((one for one in around.services if one["metadata"]["name"] == place.service), None)
        if service is None:
            raise CannotCopyError(f"namespace {place.namespace} has no Service {place.service}")
        baseline = find_baseline(service, around.workloads, around.serving, wanted.baseline)
        copy = make_copy(baseline.source, around.selections, wanted, self._claims)
        for one in found.slices:
            expect_owner(self._described(one), wanted.owner)
            raise CannotCopyError(f"{self._described(one)} has registered endpoints: remove it first")
        if found.existing:
            expect_owner(self._described(msgspec.convert(found.existing, KubernetesObject)), wanted.owner)
        before = baseline.source["spec"]["template"]["metadata"].get("labels") or {}
        after = copy.deployment["spec"]["template"]["metadata"]["labels"]
        policies = twins_of(around.policies, before, after, place.labels, place.object_name)
        admitting = notes_on(around.policies, before, after, place.labels)
        alone = reasons(baseline.source)
        notes = [*around.notes, *map(_selected, copy.selected_by), *admitting, *alone]
        return _Made(copy.deployment, policies, notes)

    async def _put(self, place: _Place, made: _Made, existing: Json | None) -> None:
        """Write a copy so that none of its pods runs before the policies that restrict it exist."""
        copy = made.deployment
        if existing:
            await self._restrict(place, made.policies, existing["metadata"]["uid"])
            copy["metadata"]["resourceVersion"] = existing["metadata"]["resourceVersion"]
            with explained("write Deployments", place.namespace):
                await self._api.replace(copy)
            return
        # A paused Deployment has no pods yet, but a uid, by which its policies are deleted with it.
        paused = {**copy, "spec": {**copy["spec"], "paused": True}} if made.policies else copy
        with explained("write Deployments", place.namespace):
            created = await self._api.create(paused)
        if not made.policies:
            return
        try:
            await self._restrict(place, made.policies, created.uid)
        except ClusterError:
            with explained("delete Deployments", place.namespace):
                await self._api.delete(DEPLOYMENTS, place.object_name, place.namespace)
            raise
        with explained("write Deployments", place.namespace):
            await self._api.patch(DEPLOYMENTS, place.object_name, {"spec": {"paused": None}}, place.namespace)

    async def _restrict(self, place: _Place, policies: Sequence[Json], uid: str) -> None:
        for one in policies:
            with explained("write NetworkPolicies", place.namespace):
                await self._api.apply(owned(one, place.object_name, uid))

    async def _get(self, place: _Place) -> Deployment | None:
        found = await self._whole(place)
        return msgspec.convert(found, Deployment) if found else None

    async def _whole(self, place: _Place) -> Json | None:
        """Read a deployment's Deployment; None if it does not exist.

        Raises:
            CannotCopyError: A Deployment of that name exists and belongs to something else.
            ClusterError: The cluster refuses.
        """
        with explained("read Deployments", place.namespace):
            found = await self._api.get(DEPLOYMENTS.whole, place.object_name, place.namespace)
        if found and not place.labels.items() <= (found["metadata"].get("labels") or {}).items():
            raise CannotCopyError(
                f"the Deployment {place.object_name} exists already, and is not {place.service}@{place.name}"
            )
        return found

    async def _pods(self, place: _Place) -> list[Pod]:
        with explained("read pods", place.namespace):
            return await self._api.list(_PODS.labelled(place.labels), place.namespace)

    async def _slices(self, place: _Place) -> list[KubernetesObject]:
        with explained("read EndpointSlices", place.namespace):
            return await self._api.list(_SLICES.labelled(place.labels), place.namespace)

    async def _replica_sets(self, namespace: str, deployment: Json) -> list[Json]:
        labels = deployment["spec"]["selector"]["matchLabels"]
        with explained("read ReplicaSets", namespace):
            return await self._api.list(REPLICA_SETS.whole.labelled(labels), namespace)

    def _described(self, one: KubernetesObject) -> OffloadedDeployment:
        """Return the deployment of an object, without its endpoints."""
        metadata = one.metadata
        service = self._naming.name(metadata.label(SERVICE_LABEL), metadata.namespace)
        return OffloadedDeployment(service, metadata.label(OFFLOADED), owner=metadata.annotation(OWNER))


def _selected(by: Selection) -> str:
    """Return the note about an object that selects the copy although it selects the baseline."""
    remedy = f"add the expression {OFFLOADED} DoesNotExist to its selector"
    return f"{by} selects the copy's pods too, and no change of their labels prevents it: {remedy}"


def _main_container(pod: Pod) -> str:
    names = [one.name for one in pod.spec.containers]
    return next((name for name in names if not is_sidecar(name)), names[0])
