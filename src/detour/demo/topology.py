"""The demo's mesh as data: a small ride-hailing company, who calls whom, and which instances there are.

    edge -> web -> rides -> drivers (gRPC) -> users
                         -> payments       -> users
                         -> users

Invariant: constants and frozen values only; what is started, called and expected all follows from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

ENTRANCE: Final = "web"
"""The service behind the edge."""

CALLS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "web": ("rides",),
        "rides": ("drivers", "payments", "users"),
        "drivers": ("users",),
        "payments": ("users",),
        "users": (),
    }
)
"""Each service, and the services that it calls to answer a request."""

ADDRESSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "rides": "http://rides/rides",
        "drivers": "drivers:50051",
        "payments": "http://payments/fare",
        "users": "http://users/me",
    }
)
"""What a caller hands to its ordinary client: a URL for HTTP, a target for gRPC."""

GRPC: Final = frozenset({"drivers"})
"""The services that speak gRPC over HTTP/2; the others speak HTTP/1.1."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One process of a service.

    Args:
        name: Unique in the mesh.
        deployment: The offloaded deployment that it is part of; empty for the baseline.
    """

    service: str
    name: str
    deployment: str = ""


@dataclass(frozen=True, slots=True)
class Registration:
    """An offloaded deployment to register at run time, with the names of its instances."""

    service: str
    deployment: str
    instances: tuple[str, ...]


def label(service: str, deployment: str = "") -> str:
    """Write a service's baseline as `users` and its offloaded deployment as `users@pr-42`."""
    return f"{service}@{deployment}" if deployment else service


INSTANCES: Final = (
    Instance("web", "web-1"),
    Instance("rides", "rides-1"),
    Instance("drivers", "drivers-1"),
    Instance("payments", "payments-1"),
    Instance("users", "users-1"),
    Instance("users", "users-2"),
    Instance("users", "users-pr-42-1", "pr-42"),
    Instance("drivers", "drivers-pr-7-1", "pr-7"),
)

REGISTRATIONS: Final = (
    Registration("users", "pr-42", ("users-pr-42-1",)),
    Registration("drivers", "pr-7", ("drivers-pr-7-1",)),
)


def instances_of(service: str, deployment: str = "") -> frozenset[str]:
    """Name the instances of a service's baseline, or of its offloaded deployment."""
    return frozenset(one.name for one in INSTANCES if (one.service, one.deployment) == (service, deployment))
