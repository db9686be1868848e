"""Reads what a new copy depends on: what is behind its Service, and everything that selects pods there.

Invariant: only Services and Deployments must be readable. If the server may not read another kind, the copy is made
without it, and a note says so; a kind that the cluster does not have selects nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain
from typing import Final

import msgspec

from detour.kubernetes.api import Api
from detour.kubernetes.errors import ApiError
from detour.kubernetes.kinds import (
    AUTOSCALERS,
    DAEMON_SETS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    ENDPOINT_SLICES,
    NETWORK_POLICIES,
    POD_MONITORS,
    PODS,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
    STATEFUL_SETS,
    Kind,
    Reading,
)
from detour.kubernetes.labels import OFFLOADED, SERVICE_OF_SLICE
from detour.kubernetes.objects import Json, T
from detour.offload.kubernetes.affinity import required_by
from detour.offload.kubernetes.baselines import Owner, Workload, behind_service, workloads
from detour.offload.kubernetes.objects import Autoscaler, Owned, Selecting, Slice
from detour.offload.kubernetes.refusals import explained
from detour.offload.kubernetes.selectors import Selection, Selector, of_services

_WORKLOADS: Final = (DAEMON_SETS, REPLICA_SETS, ROLLOUTS, STATEFUL_SETS)
_SELECTING: Final = (DISRUPTION_BUDGETS, POD_MONITORS)
_PODS: Final = PODS.read_as(Owned)
_SLICES: Final = ENDPOINT_SLICES.read_as(Slice)
_SCALED: Final = frozenset(kind.name for kind in (DEPLOYMENTS, REPLICA_SETS, ROLLOUTS, STATEFUL_SETS))
"""The kinds of workloads whose selectors are known here: an autoscaler counts the pods that its target selects."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a new copy depends on.

    Args:
        services: All Services of the namespace.
        workloads: The workloads of the namespace that can be a baseline.
        serving: The number of ready pods of the Service, by the workload that owns them; empty if at most one
            workload is behind it.
        selections: Everything that selects pods.
        policies: The NetworkPolicies of the namespace that do not belong to copies.
        notes: What could not be read, and what it may do to the copy, a line each.
    """

    services: Sequence[Json]
    workloads: Sequence[Workload]
    serving: Mapping[Owner, int]
    selections: Sequence[Selection]
    policies: Sequence[Json]
    notes: Sequence[str]


async def surroundings(api: Api, service: str, namespace: str) -> Surroundings:
    """Read what a new copy of a Service depends on.

    Raises:
        ClusterError: Services or Deployments can't be read.
    """
    with explained("read Services and Deployments", namespace):
        services = await api.list(SERVICES.whole, namespace)
        deployments = await api.list(DEPLOYMENTS.whole, namespace)
    reader = _Reader(api, namespace)
    others = dict(zip(_WORKLOADS, await asyncio.gather(*map(reader.workloads, _WORKLOADS)), strict=True))
    selecting = await asyncio.gather(*map(reader.selections, _SELECTING))
    scaling = await reader.foreign_targets()
    policies = await reader.policies()
    found = {"Deployment": deployments, **{kind.name: objects for kind, objects in others.items()}}
    apart = [selection for kind, objects in found.items() for selection in required_by(kind, objects)]
    selections = [*of_services(services), *_of_workloads(found), *apart, *chain.from_iterable(selecting)]
    candidates = workloads(deployments, {kind.name: objects for kind, objects in others.items()})
    own = next((one for one in services if one["metadata"]["name"] == service), None)
    serving: Mapping[Owner, int] = {}
    if own and len(behind_service(own, candidates)) > 1:
        serving = await _serving(api, own, namespace, others[REPLICA_SETS])
    return Surroundings(services, candidates, serving, selections, policies, [*sorted(reader.notes), *scaling])


async def _serving(api: Api, service: Json, namespace: str, replica_sets: Iterable[Json]) -> Mapping[Owner, int]:
    """Count the ready pods of a Service by the workloads that own them."""
    with explained("read EndpointSlices and pods", namespace):
        slices = await api.list(_SLICES.labelled({SERVICE_OF_SLICE: service["metadata"]["name"]}), namespace)
        pods = await api.list(_PODS.labelled(service["spec"]["selector"]), namespace)
    ready = {one.target.name for part in slices for one in part.endpoints or () if one.is_ready and one.target}
    sets = (msgspec.convert(one, Owned) for one in replica_sets)
    above = {("ReplicaSet", one.metadata.name): one.controller for one in sets}
    owners = (one.controller for one in pods if one.metadata.name in ready)
    return Counter(above.get(owner) or owner for owner in owners if owner)


class _Reader:
    """Reads kinds that the server may not be allowed to read, or that the cluster may not have."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self.notes: list[str] = []

    async def workloads(self, kind: Kind) -> list[Json]:
        return await self._list(kind.whole, "may count the copy's pods")

    async def selections(self, kind: Kind) -> list[Selection]:
        found = await self._list(kind.read_as(Selecting), "may count the copy's pods")
        return [Selection(kind.name, one.metadata.name, one.spec.selector) for one in found if one.spec.selector]

    async def policies(self) -> list[Json]:
        found = await self._list(NETWORK_POLICIES.whole, "may not restrict the copy")
        return [one for one in found if OFFLOADED not in (one["metadata"].get("labels") or {})]

    async def foreign_targets(self) -> list[str]:
        """Return a note for each autoscaler whose target's pods are not known."""
        found = await self._list(AUTOSCALERS.read_as(Autoscaler), "may count the copy's load")
        return [
            f"HorizontalPodAutoscaler {one.metadata.name} scales a {one.target.kind}, whose selector Detour does"
            " not know: it may count the copy's load"
            for one in found
            if one.target.kind not in _SCALED
        ]

    async def _list(self, reading: Reading[T], effect: str) -> list[T]:
        try:
            return await self._api.list(reading, self._namespace)
        except ApiError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                self.notes.append(_unread(reading.kind, self._namespace, effect, error))
            return []


def _unread(kind: Kind, namespace: str, effect: str, error: ApiError) -> str:
    many = f"{kind.name}s" if not kind.name.endswith("y") else f"{kind.name[:-1]}ies"
    if error.code == HTTPStatus.FORBIDDEN:
        right = f"the server may not read {many} in namespace {namespace}, so one {effect}"
        return f"{right}: give its ServiceAccount that right"
    return f"{many} in namespace {namespace} could not be read, so one {effect}: {error}"


def _of_workloads(found: Mapping[str, Iterable[Json]]) -> list[Selection]:
    """Return what workloads select; a Rollout may leave that to its Deployment."""
    return [
        Selection(kind, one["metadata"]["name"], msgspec.convert(one["spec"]["selector"], Selector))
        for kind, objects in found.items()
        for one in objects
        if one["spec"].get("selector")
    ]
