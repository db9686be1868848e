"""Reads what a new copy depends on: what is behind its Service, and everything that selects pods there.

Invariant: only Services and Deployments must be readable. If the server may not read another kind, the copy is made
without it, and a note says so; a kind that the cluster does not have selects nothing.
"""

import asyncio
from collections.abc import Iterable, Sequence
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
    POD_MONITORS,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
    STATEFUL_SETS,
    Kind,
    Reading,
)
from detour.kubernetes.objects import Json, T
from detour.offload.kubernetes.objects import Autoscaler, Selecting
from detour.offload.kubernetes.refusals import explained
from detour.offload.kubernetes.selectors import Selection, Selector, of_services

_SELECTING: Final = (DAEMON_SETS, DISRUPTION_BUDGETS, POD_MONITORS, REPLICA_SETS, ROLLOUTS, STATEFUL_SETS)
_SCALED: Final = frozenset(kind.name for kind in (DEPLOYMENTS, REPLICA_SETS, ROLLOUTS, STATEFUL_SETS))
"""The kinds of workloads whose selectors are known here: an autoscaler counts the pods that its target selects."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a new copy depends on.

    Args:
        services: All Services of the namespace.
        deployments: All Deployments of the namespace.
        selections: Everything that selects pods.
        notes: What could not be read, and what it may do to the copy, a line each.
    """

    services: Sequence[Json]
    deployments: Sequence[Json]
    selections: Sequence[Selection]
    notes: Sequence[str]


async def surroundings(api: Api, namespace: str) -> Surroundings:
    """Read what a new copy in a namespace depends on.

    Raises:
        ClusterError: Services or Deployments can't be read.
    """
    with explained("read Services and Deployments", namespace):
        services = await api.list(SERVICES.whole, namespace)
        deployments = await api.list(DEPLOYMENTS.whole, namespace)
    reader = _Reader(api, namespace)
    selecting = await asyncio.gather(*map(reader.selections, _SELECTING))
    scaling = await reader.foreign_targets()
    selections = [*of_services(services), *_of_deployments(deployments), *chain.from_iterable(selecting)]
    return Surroundings(services, deployments, selections, [*sorted(reader.notes), *scaling])


class _Reader:
    """Reads kinds that the server may not be allowed to read, or that the cluster may not have."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self.notes: list[str] = []

    async def selections(self, kind: Kind) -> list[Selection]:
        found = await self._list(kind.read_as(Selecting), "may count the copy's pods")
        return [Selection(kind.name, one.metadata.name, one.spec.selector) for one in found if one.spec.selector]

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
    what = f"the server may not read {kind.name}s in namespace {namespace}, so one {effect}"
    if error.code == HTTPStatus.FORBIDDEN:
        return f"{what}: give its ServiceAccount that right"
    return f"{kind.name}s in namespace {namespace} could not be read, so one {effect}: {error}"


def _of_deployments(deployments: Iterable[Json]) -> list[Selection]:
    return [
        Selection("Deployment", one["metadata"]["name"], msgspec.convert(one["spec"]["selector"], Selector))
        for one in deployments
    ]
