"""What every source of a mesh does, whatever it reads: cases to be run on each.

A test sets the mesh of a source, breaks and repairs it, and compares the events that the source produces.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime

from detour.mesh import Endpoint, Mesh, MeshEvent, OffloadedDeployment, Protocol, Service, apply

DEADLINE_SECONDS = 30


class Source(ABC):
    """A source of a mesh, under test."""

    def __init__(self) -> None:
        self.mesh = Mesh()
        self.events: list[MeshEvent] = []
        self._news = asyncio.Event()

    def take(self, events: tuple[MeshEvent, ...]) -> None:
        """Apply the events of discovery."""
        self.mesh = apply(self.mesh, *events)
        self.events += events
        self._news.set()

    async def until(self, holds: Callable[[Mesh], bool]) -> Mesh:
        """Wait until the mesh is as it should be."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not holds(self.mesh):
                self._news.clear()
                await self._news.wait()
        return self.mesh

    @abstractmethod
    async def has(self, *values: Service | OffloadedDeployment) -> None:
        """Make the mesh consist of these; services speak at port 80."""

    @abstractmethod
    async def breaks(self) -> None:
        """Be unreadable."""

    @abstractmethod
    async def is_mended(self) -> None:
        """Be readable again."""

    @abstractmethod
    async def is_broken(self) -> None:
        """Wait until discovery has noticed."""


USERS = Service("users", (Endpoint("10.0.0.1", 8080), Endpoint("10.0.0.2", 8080)))
PAYMENTS = Service("payments", (Endpoint("10.0.1.1", 9090),), Protocol.HTTP2)
EXPIRES = datetime(2100, 1, 1, tzinfo=UTC)
PR_42 = OffloadedDeployment("users", "pr-42", (Endpoint("10.0.2.1", 8080),), "ana", EXPIRES)


def users(mesh: Mesh) -> tuple[Endpoint, ...] | None:
    """Return the baseline of users."""
    return mesh.services["users"].endpoints if "users" in mesh.services else None


def pr_42(mesh: Mesh) -> tuple[Endpoint, ...] | None:
    """Return the instances of users@pr-42."""
    found = mesh.deployment("users", "pr-42")
    return found.endpoints if found else None


class Contract:
    """The cases; a subclass has a fixture `source`."""

    async def test_services_have_their_instances_and_protocol(self, source: Source) -> None:
        """As they were said to be."""
        await source.has(USERS, PAYMENTS)
        mesh = await source.until(lambda mesh: users(mesh) == USERS.endpoints and "payments" in mesh.services)
        await source.until(lambda mesh: mesh.services["payments"].endpoints == PAYMENTS.endpoints)
        assert mesh.services["payments"].protocol == Protocol.HTTP2

    async def test_an_instance_comes_and_goes(self, source: Source) -> None:
        """And the last one may go too: the service stays."""
        await source.has(Service("users", USERS.endpoints[:1]))
        await source.until(lambda mesh: users(mesh) == USERS.endpoints[:1])
        await source.has(USERS)
        await source.until(lambda mesh: users(mesh) == USERS.endpoints)
        await source.has(Service("users"))
        await source.until(lambda mesh: users(mesh) == ())

    async def test_an_offloaded_deployment_is_beside_the_baseline(self, source: Source) -> None:
        """With its owner and its end; it comes and goes, and the baseline never hears of it."""
        await source.has(USERS, PR_42)
        await source.until(lambda mesh: pr_42(mesh) == PR_42.endpoints and users(mesh) == USERS.endpoints)
        found = source.mesh.deployment("users", "pr-42")
        assert (found.owner, found.expires) == ("ana", EXPIRES)
        source.events.clear()
        await source.has(USERS)
        await source.until(lambda mesh: pr_42(mesh) is None)
        assert users(source.mesh) == USERS.endpoints
        assert {type(event).__name__ for event in source.events} <= {"DeploymentApplied", "DeploymentRemoved"}

    async def test_a_deployment_may_have_no_instance_yet(self, source: Source) -> None:
        """It is known all the same."""
        await source.has(USERS, OffloadedDeployment("users", "pr-42", (), "ana", EXPIRES))
        await source.until(lambda mesh: pr_42(mesh) == ())

    async def test_a_change_of_one_service_is_no_news_of_another(self, source: Source) -> None:
        """Only changes are reported."""
        await source.has(USERS, PAYMENTS, PR_42)
        await source.until(lambda mesh: users(mesh) == USERS.endpoints and pr_42(mesh) == PR_42.endpoints)
        await source.until(lambda mesh: mesh.services["payments"].endpoints == PAYMENTS.endpoints)
        source.events.clear()
        await source.has(Service("users", USERS.endpoints[:1]), PAYMENTS, PR_42)
        await source.until(lambda mesh: users(mesh) == USERS.endpoints[:1])
        assert {event.service.name for event in source.events} == {"users"}

    async def test_a_service_goes(self, source: Source) -> None:
        """And comes back."""
        await source.has(USERS, PAYMENTS)
        await source.until(lambda mesh: len(mesh.services) == 2)
        await source.has(PAYMENTS)
        await source.until(lambda mesh: set(mesh.services) == {"payments"})
        await source.has(USERS, PAYMENTS)
        await source.until(lambda mesh: users(mesh) == USERS.endpoints)

    async def test_while_it_cannot_be_read_the_mesh_stays(self, source: Source) -> None:
        """And changes of that time are reported afterwards."""
        await source.has(USERS, PR_42)
        await source.until(lambda mesh: users(mesh) == USERS.endpoints and pr_42(mesh) == PR_42.endpoints)
        before = source.mesh
        source.events.clear()
        await source.breaks()
        await source.is_broken()
        assert (source.mesh, source.events) == (before, [])
        await source.is_mended()
        await source.has(Service("users", USERS.endpoints[:1]))
        await source.until(lambda mesh: users(mesh) == USERS.endpoints[:1] and pr_42(mesh) is None)
