"""Offloaded deployments in a cluster: made, rolled, extended, looked at and removed.

Invariant: the cluster's objects are all the state there is; any replica of the server can do any of this, and two
that do it at once do not undo each other (resourceVersion decides).
"""

from collections.abc import AsyncIterator, Iterable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from lightkube import ApiError, AsyncClient
from lightkube.operators import Operator
from lightkube.types import CascadeType

from detour.kubernetes.labels import EXPIRES, OFFLOADED, OWNER, ROLL
from detour.kubernetes.labels import SERVICE as SERVICE_LABEL
from detour.mesh import Endpoint, Naming, OffloadedDeployment
from detour.offload.kubernetes.copying import (
    Json,
    Wanted,
    find_baseline,
    is_sidecar,
    make_copy,
    object_name,
)
from detour.offload.kubernetes.errors import CannotCopyError, ClusterError
from detour.offload.kubernetes.objects import DEPLOYMENT, EVENT, POD, REPLICA_SET, SERVICE, SLICE
from detour.offload.kubernetes.progress import Progress, progress_of
from detour.offload.kubernetes.refusals import explained
from detour.offload.ownership import expect_owner

_TRIES: Final = 5
_CONFLICT: Final = 409
_NOT_FOUND: Final = 404
_HASH: Final = "pod-template-hash"
_REVISION: Final = "deployment.kubernetes.io/revision"


class ClusterDeployments:
    """The offloaded deployments of a cluster's namespaces.

    Args:
        client: The API server, and who asks.
        naming: What Services are called in the mesh.
    """

    def __init__(self, client: AsyncClient, naming: Naming) -> None:
        self._client = client
        self._naming = naming

    async def create(self, wanted: Wanted) -> None:
        """Make a copy of the live baseline, or roll the owner's own to what is wanted now.

        Args:
            wanted: The deployment; `service` is the service's name in the mesh.

        Raises:
            CannotCopyError: It can't be made as asked.
            OwnedByAnotherError: Somebody else has a deployment of that name.
            ClusterError: The cluster refuses.
        """
        service, namespace = self._naming.place(wanted.service)
        wanted = replace(wanted, service=service, roll=wanted.roll or uuid4().hex[:8])
        for attempt in range(_TRIES):
            copy = await self._copy(namespace, wanted)
            for one in await self._slices(namespace, service, wanted.name):
                expect_owner(_described(one, self._naming), wanted.owner)
                raise CannotCopyError(f"{_described(one, self._naming)} has registered endpoints: remove it first")
            existing = await self._get(namespace, service, wanted.name)
            if existing:
                expect_owner(_described(existing, self._naming), wanted.owner)
            try:
                await self._put(namespace, copy, existing)
            except ClusterError as error:
                if error.code != _CONFLICT or attempt == _TRIES - 1:
                    raise
            else:
                return

    async def progress(self, service: str, name: str) -> Progress | None:
        """Say how a deployment is coming on; None if there is no copy of that name.

        Raises:
            ClusterError: The cluster refuses.
        """
        at, namespace = self._naming.place(service)
        deployment = await self._get(namespace, at, name)
        if deployment is None:
            return None
        pods = await self._pods(namespace, at, name)
        with explained("read events", namespace):
            events = [one async for one in self._client.list(EVENT, namespace=namespace)]
        return progress_of(deployment, pods, events)

    async def undo(self, service: str, name: str) -> str:
        """Take back a change that came to nothing; say what was done.

        A copy that worked before it was rolled goes back to that; one that never worked is removed.

        Raises:
            ClusterError: The cluster refuses.
        """
        at, namespace = self._naming.place(service)
        deployment = await self._get(namespace, at, name)
        if deployment is None:
            return "it is gone"
        before = await self._working_before(namespace, deployment)
        if before is None:
            await self.remove(service, name)
            return "it was removed"
        with explained("change Deployments", namespace):
            # Replaced, not patched: what the failed one has more must go.
            await self._client.replace(DEPLOYMENT.from_dict(_rolled_back(deployment, before)))
        return "the one before is back"

    async def add(self, deployment: OffloadedDeployment) -> None:
        """Register endpoints that run somewhere, as EndpointSlices that belong to no Service.

        Raises:
            OwnedByAnotherError: Somebody else has a deployment of that name.
            CannotCopyError: The name can't be one in Kubernetes, or a copy has it.
            ClusterError: The cluster refuses.
        """
        service, namespace = self._naming.place(deployment.service)
        if existing := await self._get(namespace, service, deployment.name):
            expect_owner(_described(existing, self._naming), deployment.owner)
            raise CannotCopyError(f"{deployment} runs in the cluster already: remove it first")
        there = await self._slices(namespace, service, deployment.name)
        for one in there:
            expect_owner(_described(one, self._naming), deployment.owner)
        wanted = _slices_of(deployment, service, namespace)
        with explained("write EndpointSlices", namespace):
            for one in wanted:
                await self._client.apply(SLICE.from_dict(one), field_manager="detour", force=True)
            names = {one["metadata"]["name"] for one in wanted}
            for one in there:
                if one["metadata"]["name"] not in names:
                    await self._client.delete(SLICE, one["metadata"]["name"], namespace=namespace)

    async def extend(self, service: str, name: str, expires: datetime) -> bool:
        """Let a deployment live until another moment; False if there is none.

        Raises:
            ClusterError: The cluster refuses.
        """
        at, namespace = self._naming.place(service)
        patch = {"metadata": {"annotations": {EXPIRES: _moment(expires)}}}
        found = False
        with explained("change offloaded deployments", namespace):
            if existing := await self._get(namespace, at, name):
                found = True
                await self._client.patch(DEPLOYMENT, existing["metadata"]["name"], patch, namespace=namespace)
            for one in await self._slices(namespace, at, name):
                found = True
                await self._client.patch(SLICE, one["metadata"]["name"], patch, namespace=namespace)
        return found

    async def remove(self, service: str, name: str) -> bool:
        """Take a deployment away; False if there is none.

        Raises:
            ClusterError: The cluster refuses.
        """
        at, namespace = self._naming.place(service)
        existing = await self._get(namespace, at, name)
        slices = await self._slices(namespace, at, name)
        with explained("delete offloaded deployments", namespace):
            if existing:
                await self._delete(DEPLOYMENT, existing)
            for one in slices:
                await self._delete(SLICE, one)
        return bool(existing or slices)

    async def log(self, service: str, name: str, *, tail: int, follow: bool = False) -> AsyncIterator[str]:
        """Yield the lines that a deployment's newest pod has written.

        Raises:
            ClusterError: It has no pod, or the cluster refuses.
        """
        at, namespace = self._naming.place(service)
        pods = sorted(await self._pods(namespace, at, name), key=_created)
        if not pods:
            raise ClusterError(f"{service}@{name} has no pod yet, so there is no log", _NOT_FOUND)
        container = _main(pods[-1])
        with explained("read logs of pods", namespace):
            lines = self._client.log(
                pods[-1]["metadata"]["name"],
                namespace=namespace,
                container=container,
                tail_lines=tail,
                follow=follow,
            )
            async for line in lines:
                yield line

    async def log_of(self, service: str, pod: str, container: str, tail: int) -> list[str]:
        """Return the last lines of one container; none if it left none.

        Raises:
            ClusterError: The cluster refuses.
        """
        _, namespace = self._naming.place(service)
        with explained("read logs of pods", namespace):
            lines = self._client.log(pod, namespace=namespace, container=container, tail_lines=tail)
            return [line async for line in lines]

    async def _copy(self, namespace: str, wanted: Wanted) -> Json:
        object_name(wanted.service, wanted.name)
        with explained("read Services and Deployments", namespace):
            services = [one async for one in self._client.list(SERVICE, namespace=namespace)]
            deployments = [one async for one in self._client.list(DEPLOYMENT, namespace=namespace)]
        service = next((one for one in services if one["metadata"]["name"] == wanted.service), None)
        if service is None:
            raise CannotCopyError(f"there is no Service {wanted.service} in namespace {namespace}")
        return make_copy(find_baseline(service, deployments), services, wanted)

    async def _put(self, namespace: str, copy: Json, existing: Json | None) -> None:
        with explained("write Deployments", namespace):
            if existing is None:
                await self._client.create(DEPLOYMENT.from_dict(copy))
                return
            copy["metadata"]["resourceVersion"] = existing["metadata"]["resourceVersion"]
            await self._client.replace(DEPLOYMENT.from_dict(copy))

    async def _get(self, namespace: str, service: str, name: str) -> Json | None:
        wanted = object_name(service, name)
        try:
            with explained("read Deployments", namespace):
                found: Json = await self._client.get(DEPLOYMENT, wanted, namespace=namespace)
        except ClusterError as error:
            if error.code == _NOT_FOUND:
                return None
            raise
        labels = found["metadata"].get("labels") or {}
        if (labels.get(SERVICE_LABEL), labels.get(OFFLOADED)) != (service, name):
            raise CannotCopyError(f"the Deployment {wanted} is there already, and is not {service}@{name}")
        return found

    async def _pods(self, namespace: str, service: str, name: str) -> list[Json]:
        with explained("read pods", namespace):
            found = self._client.list(POD, namespace=namespace, labels=_labels(service, name))
            return [one async for one in found]

    async def _slices(self, namespace: str, service: str, name: str) -> list[Json]:
        with explained("read EndpointSlices", namespace):
            found = self._client.list(SLICE, namespace=namespace, labels=_labels(service, name))
            return [one async for one in found]

    async def _working_before(self, namespace: str, deployment: Json) -> Json | None:
        """Find the ReplicaSet of a roll before this one that still has a pod Ready."""
        roll = deployment["metadata"]["annotations"].get(ROLL)
        with explained("read ReplicaSets", namespace):
            labels = deployment["spec"]["selector"]["matchLabels"]
            found = [one async for one in self._client.list(REPLICA_SET, namespace=namespace, labels=labels)]
        before = [
            one
            for one in found
            if one["spec"]["template"]["metadata"].get("annotations", {}).get(ROLL) != roll
            and one.get("status", {}).get("readyReplicas", 0) > 0
        ]
        return max(before, key=_revision, default=None)

    async def _delete(self, kind: Any, one: Json) -> None:
        metadata = one["metadata"]
        try:
            await self._client.delete(
                kind, metadata["name"], namespace=metadata["namespace"], cascade=CascadeType.BACKGROUND
            )
        except ApiError as error:
            if error.status.code != _NOT_FOUND:
                raise


def _labels(service: str, name: str) -> dict[str, str | Operator[Any] | Iterable[Any] | None]:
    return {SERVICE_LABEL: service, OFFLOADED: name}


def _described(one: Json, naming: Naming) -> OffloadedDeployment:
    """Return what an object says of its deployment, but for its endpoints."""
    metadata = one["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    service = naming.name(labels.get(SERVICE_LABEL, ""), metadata["namespace"])
    return OffloadedDeployment(service, labels.get(OFFLOADED, ""), owner=annotations.get(OWNER, ""))


def _slices_of(deployment: OffloadedDeployment, service: str, namespace: str) -> list[Json]:
    """Return EndpointSlices: one for each port and family of addresses."""
    groups: dict[tuple[str, int], list[Endpoint]] = {}
    for endpoint in deployment.endpoints:
        family = "IPv6" if ":" in endpoint.address else "IPv4"
        groups.setdefault((family, endpoint.port), []).append(endpoint)
    annotations = {OWNER: deployment.owner}
    if deployment.expires:
        annotations[EXPIRES] = _moment(deployment.expires)
    return [
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{object_name(service, deployment.name)}-{family.lower()}-{port}",
                "namespace": namespace,
                "labels": {SERVICE_LABEL: service, OFFLOADED: deployment.name},
                "annotations": annotations,
            },
            "addressType": family,
            "endpoints": [{"addresses": [one.address], "conditions": {"ready": True}} for one in endpoints],
            "ports": [{"name": "", "port": port, "protocol": "TCP"}],
        }
        for (family, port), endpoints in (groups or {("IPv4", 1): []}).items()
    ]


def _main(pod: Json) -> str:
    names: list[str] = [one["name"] for one in pod["spec"]["containers"]]
    return next((name for name in names if not is_sidecar(name)), names[0])


def _created(one: Json) -> str:
    created: str = one["metadata"].get("creationTimestamp", "")
    return created


def _revision(one: Json) -> int:
    return int((one["metadata"].get("annotations") or {}).get(_REVISION, 0))


def _rolled_back(deployment: Json, before: Json) -> Json:
    """Return a Deployment with the pods of one of its ReplicaSets."""
    template = deepcopy(before["spec"]["template"])
    template["metadata"].get("labels", {}).pop(_HASH, None)
    roll = template["metadata"].get("annotations", {}).get(ROLL, "")
    annotations = {**deployment["metadata"]["annotations"], ROLL: roll}
    return {
        **deployment,
        "metadata": {**deployment["metadata"], "annotations": annotations},
        "spec": {**deployment["spec"], "template": template},
    }


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
