"""The demo's mesh as data: the services of a small ride-hailing company, their calls, and their instances.

    edge -> web -> rides -> drivers (gRPC) -> maps (Go) -> users
                                           -> users
                         -> payments       -> users
                                           -> receipts (queue) -> users
                         -> quotes (TypeScript) -> users
                         -> users

Invariant: frozen values only; all processes, calls and expectations are derived from them.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Self

ENTRANCE: Final = "web"
"""The service behind the edge."""

PYTHON: Final = "Python"
TYPESCRIPT: Final = "TypeScript"
GO: Final = "Go"

GRPC: Final = "grpc"
QUEUE: Final = "queue"


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the mesh.

    Args:
        name: Its name.
        address: The address for its callers, as `scheme://...`: a URL for HTTP, `grpc://target`, or `queue://name`.
        calls: The services that it calls for each request, in this order.
        language: Its programming language.
        needs: A program that must be installed to run it; empty if it needs none.
    """

    name: str
    address: str
    calls: tuple[str, ...] = ()
    language: str = PYTHON
    needs: str = ""

    @property
    def scheme(self) -> str:
        """The protocol: `http`, `grpc` or `queue`."""
        return self.address.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Instance:
    """One process of a service.

    Args:
        name: Unique in the mesh.
        deployment: Its offloaded deployment; empty for the baseline.
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


@dataclass(frozen=True, slots=True)
class Topology:
    """Services and their instances."""

    services: tuple[Service, ...]
    instances: tuple[Instance, ...]

    def __iter__(self) -> Iterator[Service]:
        return iter(self.services)

    def service(self, name: str) -> Service:
        """Return a service by name.

        Raises:
            KeyError: The service does not exist.
        """
        return {one.name: one for one in self.services}[name]

    def calls(self, service: str) -> tuple[str, ...]:
        """Return the services that a service calls, in order; empty if the mesh does not contain it."""
        return next((one.calls for one in self.services if one.name == service), ())

    def instances_of(self, service: str, deployment: str = "") -> frozenset[str]:
        """Return the names of the instances of a service's baseline, or of its offloaded deployment."""
        found = (one.name for one in self.instances if (one.service, one.deployment) == (service, deployment))
        return frozenset(found)

    def without(self, services: Collection[str]) -> Self:
        """Return the mesh without these services, and without calls to them."""
        kept = (one for one in self.services if one.name not in services)
        return type(self)(
            tuple(replace(one, calls=_except(one.calls, services)) for one in kept),
            tuple(one for one in self.instances if one.service not in services),
        )


def _except(names: Iterable[str], dropped: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in dropped)


def label(service: str, deployment: str = "") -> str:
    """Write a service's baseline as `users` and its offloaded deployment as `users@pr-42`."""
    return f"{service}@{deployment}" if deployment else service


WHOLE: Final = Topology(
    services=(
        Service("web", "http://web/", ("rides",)),
        Service("rides", "http://rides/rides", ("drivers", "payments", "quotes", "users")),
        Service("drivers", "grpc://drivers:50051", ("maps", "users")),
        Service("payments", "http://payments/fare", ("users", "receipts")),
        Service("users", "http://users/me"),
        Service("maps", "http://maps/route", ("users",), language=GO),
        Service("quotes", "http://quotes/quote", ("users",), language=TYPESCRIPT),
        Service("receipts", "queue://receipts", ("users",), needs="redis-server"),
    ),
    instances=(
        Instance("web", "web-1"),
        Instance("rides", "rides-1"),
        Instance("drivers", "drivers-1"),
        Instance("payments", "payments-1"),
        Instance("receipts", "receipts-1"),
        Instance("maps", "maps-1"),
        Instance("quotes", "quotes-1"),
        Instance("users", "users-1"),
        Instance("users", "users-2"),
        Instance("users", "users-pr-42-1", "pr-42"),
        Instance("drivers", "drivers-pr-7-1", "pr-7"),
    ),
)
"""All services and instances; those that the machine cannot run are left out."""

REGISTRATIONS: Final = (
    Registration("users", "pr-42", ("users-pr-42-1",)),
    Registration("drivers", "pr-7", ("drivers-pr-7-1",)),
)
