"""Recurring work on offloaded deployments: expiry, warnings before it, and the removal of failed copies.

Invariant: one server at a time does it (see `detour.leadership`); doing it twice has the same result.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from detour.kubernetes.api import Api
from detour.kubernetes.kinds import DEPLOYMENTS, ENDPOINT_SLICES, EVENTS, Kind
from detour.kubernetes.labels import EXPIRES, KEEP, OFFLOADED, OWNER, SERVICE, WARNED
from detour.kubernetes.objects import Json
from detour.kubernetes.views import Deployment
from detour.mesh import Naming
from detour.offload.kubernetes.cluster import ClusterDeployments
from detour.offload.kubernetes.errors import ClusterError
from detour.offload.kubernetes.refusals import explained
from detour.standing_problem import StandingProblems

_PERIOD_SECONDS: Final = 5.0
_WARN_BEFORE: Final = timedelta(hours=1)

_log = logging.getLogger(__name__)


class Task(StrEnum):
    """The kinds of work."""

    REMOVE = "remove"
    WARN = "warn"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Due:
    """A task for an object."""

    task: Task
    one: Deployment

    @property
    def place(self) -> tuple[str, str]:
        """The Service, and the deployment's name."""
        metadata = self.one.metadata
        return metadata.label(SERVICE), metadata.label(OFFLOADED)


def due(objects: Iterable[Deployment], now: datetime) -> Iterator[Due]:
    """Yield the tasks at a moment (timezone-aware).

    The owner is warned an hour before the end, or at half of the deployment's time where that is less. A copy that
    failed, and that no caller waits for any longer, is taken back unless it is to be kept.
    """
    for one in objects:
        metadata = one.metadata
        expires = _moment(metadata.annotation(EXPIRES))
        if expires is not None and expires <= now:
            yield Due(Task.REMOVE, one)
            continue
        if expires is not None and metadata.annotation(WARNED) != metadata.annotation(EXPIRES):
            created = _moment(metadata.creation_timestamp or "") or now
            if expires - now <= min(_WARN_BEFORE, (expires - created) / 2):
                yield Due(Task.WARN, one)
        if _has_failed(one) and metadata.annotation(KEEP) != "true":
            yield Due(Task.UNDO, one)


class Housekeeping:
    """Does this work in some namespaces.

    Args:
        api: The API server.
        naming: Maps Services to names in the mesh.
        namespaces: The namespaces; empty for all.
    """

    def __init__(self, api: Api, naming: Naming, namespaces: Sequence[str]) -> None:
        self._api = api
        self._naming = naming
        self._namespaces = namespaces or [""]
        self._deployments = ClusterDeployments(api, naming)
        self._problems = StandingProblems(_log, logging.WARNING)

    async def run(self) -> None:
        """Look for tasks and do them, until cancelled."""
        while True:
            for namespace in self._namespaces:
                try:
                    await self.sweep(namespace)
                    self._problems.end(namespace)
                except ClusterError as error:
                    where = namespace or "all namespaces"
                    problem = f"offloaded deployments of {where} are not looked after: {error}"
                    self._problems.begin(namespace, problem)
            await asyncio.sleep(_PERIOD_SECONDS)

    async def sweep(self, namespace: str) -> None:
        """Do the tasks of a namespace once; those of all namespaces if it is empty.

        Raises:
            ClusterError: The cluster refuses.
        """
        for kind in (DEPLOYMENTS, ENDPOINT_SLICES):
            with explained("list offloaded deployments", namespace):
                # Of a Deployment, labels, annotations and the creation time matter here: a slice has them as well.
                found = await self._api.list(kind.read_as(Deployment).labelled({OFFLOADED: None}), namespace)
            for one in due(found, datetime.now(UTC)):
                await self._do(kind, one)

    async def _do(self, kind: Kind, one: Due) -> None:
        service, name = one.place
        metadata = one.one.metadata
        mesh_name = self._naming.name(service, metadata.namespace)
        what = f"{mesh_name}@{name} of {metadata.annotation(OWNER) or 'no owner'}"
        match one.task:
            case Task.REMOVE:
                await self._deployments.remove(mesh_name, name)
                _log.info("%s has expired", what)
            case Task.UNDO:
                done = await self._deployments.undo(mesh_name, name)
                _log.info("%s never became Ready: %s", what, done)
            case Task.WARN:
                keep = f"detour offload extend {mesh_name} {name} --ttl 24h"
                expires = metadata.annotation(EXPIRES)
                await self._warn(kind, one.one, f"{what} is removed at {expires}; to keep it: {keep}")

    async def _warn(self, kind: Kind, one: Deployment, message: str) -> None:
        """Warn where people look: in the log, and beside the object (kubectl describe)."""
        metadata = one.metadata
        patch: Json = {"metadata": {"annotations": {WARNED: metadata.annotation(EXPIRES)}}}
        with explained("warn of the end of deployments", metadata.namespace):
            await self._api.patch(kind, metadata.name, patch, metadata.namespace)
            await self._api.create(_warning(kind, one, message))
        _log.warning("%s", message)


def _warning(kind: Kind, one: Deployment, message: str) -> Json:
    """Return the Event that warns of an object's end."""
    metadata = one.metadata
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    involved = {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "name": metadata.name,
        "namespace": metadata.namespace,
        "uid": metadata.uid,
    }
    return EVENTS.object(
        {"generateName": f"{metadata.name}.", "namespace": metadata.namespace},
        involvedObject=involved,
        type="Warning",
        reason="ExpiresSoon",
        message=message,
        source={"component": "detour"},
        firstTimestamp=now,
        lastTimestamp=now,
        count=1,
    )


def _has_failed(one: Deployment) -> bool:
    return any(condition.reason == "ProgressDeadlineExceeded" for condition in one.status.conditions or ())


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
