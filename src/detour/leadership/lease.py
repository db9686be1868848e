"""The Lease as the API server keeps it.

Invariant: thin. A write names the version that was read, and is a patch, so labels and whatever else is there stay.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import msgspec
from lightkube import ApiError, AsyncClient
from lightkube.models.coordination_v1 import LeaseSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.coordination_v1 import Lease
from lightkube.types import PatchType

from detour.leadership.candidate import Record


class LeaseChangedError(Exception):
    """The Lease is not as it was when it was read."""


@dataclass(frozen=True, slots=True)
class LeaseName:
    """Where a Lease is.

    Args:
        namespace: Its namespace.
        name: Its name.
    """

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"Lease {self.name} of namespace {self.namespace}"


async def read(client: AsyncClient, name: LeaseName) -> tuple[Record | None, str | None]:
    """Return what a Lease says, and its version; None and None if there is none.

    Raises:
        API_FAILURES: It could not be read.
    """
    try:
        found = await client.get(Lease, name.name, namespace=name.namespace)
    except ApiError as error:
        if error.response.status_code == HTTPStatus.NOT_FOUND:
            return None, None
        raise
    return _record(found.spec or LeaseSpec()), _version(found)


async def write(client: AsyncClient, name: LeaseName, record: Record, version: str | None) -> str:
    """Write a Lease that has this version, or make it where there is none; return its new version.

    Raises:
        LeaseChangedError: It has another version, or is there or not there against what was said.
        API_FAILURES: It is not known whether it was written.
    """
    try:
        if version is None:
            metadata = ObjectMeta(name=name.name, namespace=name.namespace)
            made = await client.create(Lease(metadata=metadata, spec=msgspec.convert(_spec(record), LeaseSpec)))
        else:
            patch = {"metadata": {"resourceVersion": version}, "spec": _spec(record)}
            made = await client.patch(Lease, name.name, patch, namespace=name.namespace, patch_type=PatchType.MERGE)
    except ApiError as error:
        if error.response.status_code in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
            raise LeaseChangedError from error
        raise
    return _version(made) or ""


def moment(now: datetime) -> str:
    """Write a time as Kubernetes does (`MicroTime`: RFC 3339 with exactly six digits after the point)."""
    # lightkube leaves a fraction of zero out, and the API server then refuses the whole.
    return now.astimezone(UTC).replace(microsecond=now.microsecond or 1).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _record(spec: LeaseSpec) -> Record:
    return Record(
        holder=spec.holderIdentity or "",
        duration=spec.leaseDurationSeconds or 0,
        acquired=moment(spec.acquireTime) if spec.acquireTime else "",
        renewed=moment(spec.renewTime) if spec.renewTime else "",
        transitions=spec.leaseTransitions or 0,
    )


def _spec(record: Record) -> dict[str, Any]:
    return {
        "holderIdentity": record.holder,
        "leaseDurationSeconds": int(record.duration),
        "acquireTime": record.acquired or record.renewed,
        "renewTime": record.renewed,
        "leaseTransitions": record.transitions,
    }


def _version(found: Lease) -> str | None:
    return found.metadata.resourceVersion if found.metadata else None
