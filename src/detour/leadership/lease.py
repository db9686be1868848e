"""The Lease as the API server keeps it.

Invariant: thin. A write names the version that was read, and is a patch, so labels and whatever else is there stay.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from detour.kubernetes.api import Api
from detour.kubernetes.errors import ApiError
from detour.kubernetes.kinds import LEASES
from detour.kubernetes.objects import KubernetesObject, View
from detour.leadership.candidate import Record


class LeaseSpec(View, frozen=True):
    """Who holds a Lease (coordination/v1)."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: datetime | None = None
    renew_time: datetime | None = None
    lease_transitions: int | None = None


class Lease(KubernetesObject, frozen=True):
    """A Lease (coordination/v1)."""

    spec: LeaseSpec = LeaseSpec()


_LEASES: Final = LEASES.read_as(Lease)


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


async def read(api: Api, name: LeaseName) -> tuple[Record | None, str | None]:
    """Return what a Lease says, and its version; None and None if there is none.

    Raises:
        ApiError: It could not be read.
    """
    found = await api.get(_LEASES, name.name, name.namespace)
    return (_record(found.spec), found.metadata.resource_version) if found else (None, None)


async def write(api: Api, name: LeaseName, record: Record, version: str | None) -> str:
    """Write a Lease that has this version, or make it where there is none; return its new version.

    Raises:
        LeaseChangedError: It has another version, or is there or not there against what was said.
        ApiError: It is not known whether it was written.
    """
    try:
        if version is None:
            metadata = {"name": name.name, "namespace": name.namespace}
            made = await api.create(LEASES.object(metadata, spec=_spec(record)))
        else:
            patch = {"metadata": {"resourceVersion": version}, "spec": _spec(record)}
            made = await api.patch(LEASES, name.name, patch, name.namespace)
    except ApiError as error:
        # The candidate decides what follows: a conflict says that another candidate was faster.
        if error.is_conflict or error.code == HTTPStatus.NOT_FOUND:
            raise LeaseChangedError from error
        raise
    return made.resource_version


def moment(now: datetime) -> str:
    """Write a time as Kubernetes does (`MicroTime`: RFC 3339 with exactly six digits after the point)."""
    # The API server refuses a time without a fraction.
    return now.astimezone(UTC).replace(microsecond=now.microsecond or 1).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _record(spec: LeaseSpec) -> Record:
    return Record(
        holder=spec.holder_identity or "",
        duration=spec.lease_duration_seconds or 0,
        acquired=moment(spec.acquire_time) if spec.acquire_time else "",
        renewed=moment(spec.renew_time) if spec.renew_time else "",
        transitions=spec.lease_transitions or 0,
    )


def _spec(record: Record) -> dict[str, Any]:
    return {
        "holderIdentity": record.holder,
        "leaseDurationSeconds": int(record.duration),
        "acquireTime": record.acquired or record.renewed,
        "renewTime": record.renewed,
        "leaseTransitions": record.transitions,
    }
