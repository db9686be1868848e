"""Reads and writes the Lease.

Invariant: thin. A write contains the version that was read, and is a patch, so that labels and other fields stay.
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
    """The specification of a Lease (coordination/v1)."""

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
    """The Lease has changed since it was read."""


@dataclass(frozen=True, slots=True)
class LeaseName:
    """The namespace and name of a Lease.

    Args:
        namespace: Its namespace.
        name: Its name.
    """

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"Lease {self.name} of namespace {self.namespace}"


async def read(api: Api, name: LeaseName) -> tuple[Record | None, str | None]:
    """Return the content of a Lease and its version; None and None if it does not exist.

    Raises:
        ApiError: It could not be read.
    """
    found = await api.get(_LEASES, name.name, name.namespace)
    return (_record(found.spec), found.metadata.resource_version) if found else (None, None)


async def write(api: Api, name: LeaseName, record: Record, version: str | None) -> str:
    """Replace this version of a Lease, or create the Lease if the version is None; return the new version.

    Raises:
        LeaseChangedError: The Lease has another version, does not exist, or exists already.
        ApiError: The Lease may or may not have been written.
    """
    try:
        if version is None:
            metadata = {"name": name.name, "namespace": name.namespace}
            made = await api.create(LEASES.object(metadata, spec=_spec(record)))
        else:
            patch = {"metadata": {"resourceVersion": version}, "spec": _spec(record)}
            made = await api.patch(LEASES, name.name, patch, name.namespace)
    except ApiError as error:
        # The candidate decides what to do after a conflict with another candidate.
        if error.is_conflict or error.code == HTTPStatus.NOT_FOUND:
            raise LeaseChangedError from error
        raise
    return made.resource_version


def moment(now: datetime) -> str:
    """Format a time as Kubernetes does (`MicroTime`: RFC 3339 with exactly six fractional digits)."""
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
