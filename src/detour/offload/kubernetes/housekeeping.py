"""What has to be done with offloaded deployments though nobody asks: ends, warnings of them, and what failed.

Invariant: one server at a time does it (see `detour.leadership`); done twice it would be the same.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from lightkube import AsyncClient
from lightkube.operators import Operator, exists

from detour.kubernetes.labels import EXPIRES, KEEP, OFFLOADED, OWNER, SERVICE, WARNED
from detour.mesh import Naming
from detour.offload.kubernetes.cluster import ClusterDeployments
from detour.offload.kubernetes.errors import ClusterError
from detour.offload.kubernetes.objects import DEPLOYMENT, EVENT, SLICE
from detour.offload.kubernetes.refusals import explained

Json = dict[str, Any]

_PERIOD_SECONDS: Final = 5.0
_WARN_BEFORE: Final = timedelta(hours=1)

_log = logging.getLogger(__name__)


class Task(StrEnum):
    """What is to be done."""

    REMOVE = "remove"
    WARN = "warn"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Due:
    """Something that is to be done with an object."""

    task: Task
    one: Json

    @property
    def place(self) -> tuple[str, str]:
        """The Service, and the deployment's name."""
        labels = self.one["metadata"]["labels"]
        return labels.get(SERVICE, ""), labels.get(OFFLOADED, "")


def due(objects: Iterable[Json], now: datetime) -> Iterator[Due]:
    """Say what is to be done at a moment (timezone-aware).

    A deployment is warned of an hour before its end, or at half of its time where that is less; one that nobody
    waits for any more, and that came to nothing, is taken back unless it is to be kept.
    """
    for one in objects:
        annotations = one["metadata"].get("annotations") or {}
        expires = _moment(annotations.get(EXPIRES, ""))
        if expires is not None and expires <= now:
            yield Due(Task.REMOVE, one)
            continue
        if expires is not None and annotations.get(WARNED) != annotations[EXPIRES]:
            created = _moment(one["metadata"].get("creationTimestamp", "")) or now
            if expires - now <= min(_WARN_BEFORE, (expires - created) / 2):
                yield Due(Task.WARN, one)
        if _has_failed(one) and annotations.get(KEEP) != "true":
            yield Due(Task.UNDO, one)


class Housekeeping:
    """Does it, in some namespaces.

    Args:
        client: The API server, and who asks.
        naming: What Services are called in the mesh.
        namespaces: Where; everywhere if there is none.
    """

    def __init__(self, client: AsyncClient, naming: Naming, namespaces: Sequence[str]) -> None:
        self._client = client
        self._naming = naming
        self._namespaces = namespaces or ["*"]
        self._deployments = ClusterDeployments(client, naming)
        self._told: dict[str, str] = {}

    async def run(self) -> None:
        """Keep house until cancelled."""
        while True:
            for namespace in self._namespaces:
                try:
                    await self.sweep(namespace)
                    self._told.pop(namespace, None)
                except ClusterError as error:
                    if self._told.get(namespace) != str(error):
                        _log.warning("offloaded deployments of %s are not looked after: %s", namespace, error)
                    self._told[namespace] = str(error)
            await asyncio.sleep(_PERIOD_SECONDS)

    async def sweep(self, namespace: str) -> None:
        """Do once what is due in a namespace.

        Raises:
            ClusterError: The cluster refuses.
        """
        labels: dict[str, str | Operator[Any] | Iterable[Any] | None] = {OFFLOADED: exists()}
        with explained("list offloaded deployments", namespace):
            objects = [one async for one in self._client.list(DEPLOYMENT, namespace=namespace, labels=labels)]
            objects += [one async for one in self._client.list(SLICE, namespace=namespace, labels=labels)]
        for one in due(objects, datetime.now(UTC)):
            await self._do(one)

    async def _do(self, one: Due) -> None:
        service, name = one.place
        metadata = one.one["metadata"]
        mesh_name = self._naming.name(service, metadata["namespace"])
        owner = (metadata.get("annotations") or {}).get(OWNER) or "nobody"
        match one.task:
            case Task.REMOVE:
                await self._deployments.remove(mesh_name, name)
                _log.info("%s@%s of %s has expired", mesh_name, name, owner)
            case Task.UNDO:
                done = await self._deployments.undo(mesh_name, name)
                _log.info("%s@%s of %s never became Ready: %s", mesh_name, name, owner, done)
            case Task.WARN:
                expires = metadata["annotations"][EXPIRES]
                message = (
                    f"{mesh_name}@{name} of {owner} is removed at {expires}; to keep it: detour offload extend"
                )
                await self._warn(one.one, f"{message} {mesh_name} {name} --ttl 24h")

    async def _warn(self, one: Json, message: str) -> None:
        """Say so where people look: in the log, and beside the object (kubectl describe)."""
        metadata = one["metadata"]
        kind = SLICE if one.get("kind") == "EndpointSlice" else DEPLOYMENT
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        event = {
            "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
            "involvedObject": {
                "apiVersion": one.get("apiVersion"),
                "kind": one.get("kind"),
                **{key: metadata[key] for key in ("name", "namespace", "uid")},
            },
            "type": "Warning",
            "reason": "ExpiresSoon",
            "message": message,
            "source": {"component": "detour"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        warned = {"metadata": {"annotations": {WARNED: metadata["annotations"][EXPIRES]}}}
        with explained("warn of the end of deployments", metadata["namespace"]):
            await self._client.patch(kind, metadata["name"], warned, namespace=metadata["namespace"])
            await self._client.create(EVENT.from_dict(event))
        _log.warning("%s", message)


def _has_failed(one: Json) -> bool:
    conditions = (one.get("status") or {}).get("conditions") or ()
    return any(condition.get("reason") == "ProgressDeadlineExceeded" for condition in conditions)


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
