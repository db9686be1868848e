"""Following the kinds of objects that make a mesh, in each of its namespaces.

Invariant: discovery produces its first events when everything readable has been read once, so that no Envoy gets
half a mesh. After that, a namespace that becomes unreadable does not change.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Generic

from detour.discovery.kubernetes.inventory import Inventory
from detour.discovery.kubernetes.objects import Deployment, EndpointSlice, Pod, Service
from detour.discovery.kubernetes.reflector import GONE, Applied, ListFrom, Reflector, Removed
from detour.kubernetes.api import Api, Changed, Deleted, Reached, WatchEvent
from detour.kubernetes.errors import ApiError
from detour.kubernetes.kinds import DEPLOYMENTS, ENDPOINT_SLICES, PODS, SERVICES, Reading
from detour.kubernetes.labels import OFFLOADED
from detour.kubernetes.objects import ObjectT
from detour.mesh import MeshEvent, Naming
from detour.standing_problem import StandingProblem

_log = logging.getLogger(__name__)

_READINGS: Final[tuple[Reading[Any], ...]] = (
    SERVICES.read_as(Service),
    PODS.read_as(Pod),
    ENDPOINT_SLICES.read_as(EndpointSlice),
    DEPLOYMENTS.read_as(Deployment).labelled({OFFLOADED: None}),
)


@dataclass(frozen=True, slots=True)
class Timing:
    """The timeouts of discovery, in seconds.

    Args:
        silence: A watch without any data for this long counts as broken; bookmarks arrive every minute.
        longest: Maximum duration of one watch.
        retry: Delay before the first retry.
        retry_max: Maximum delay between retries.
        quiet: Changes that arrive within this time are merged into one batch.
    """

    silence: float = 90
    longest: float = 300
    retry: float = 0.1
    retry_max: float = 5
    quiet: float = 0.01


class Discovery:
    """A cluster's namespaces as a source of the mesh.

    Args:
        api: The API server.
        namespaces: The namespaces to read; empty for all.
        naming: Maps Services to names in the mesh.
        timing: The timeouts.
    """

    def __init__(self, api: Api, namespaces: Sequence[str], naming: Naming, timing: Timing | None = None) -> None:
        self._timing = timing or Timing()
        self._api = api
        self._inventory = Inventory(naming)
        self._namespaces = namespaces
        self._news = asyncio.Event()
        self._followers: list[Follower[Any]] = [
            Follower(self._api, reading, namespace, self._timing, self._take)
            for namespace in namespaces or [""]
            for reading in _READINGS
        ]

    @property
    def problems(self) -> tuple[str, ...]:
        """Unreadable objects, and objects that cannot be part of the mesh, a line each."""
        unread = (line for follower in self._followers for line in follower.problem.lines)
        return tuple(dict.fromkeys((*unread, *self._empty(), *self._inventory.problems)))

    def services(self, namespace: str) -> list[Service]:
        """Return the known Services of a namespace."""
        return self._inventory.services(namespace)

    def labels_of(self, namespace: str, pod: str) -> Mapping[str, str] | None:
        """Return the labels of a pod; None if it is not known."""
        return self._inventory.labels_of(namespace, pod)

    async def version(self) -> tuple[int, int]:
        """Return the cluster's version as soon as the API server answers; (0, 0) if it refuses."""
        while True:
            try:
                return await self._api.version()
            except ApiError as error:
                if error.code:
                    return 0, 0
                await asyncio.sleep(self._timing.retry_max)

    async def follow(self, publish: Callable[[tuple[MeshEvent, ...]], None]) -> None:
        """Follow the cluster until cancelled.

        Args:
            publish: Called with the events that make the whole mesh once everything is read, and with those of each
                later change.
        """
        async with asyncio.TaskGroup() as tasks:
            for follower in self._followers:
                tasks.create_task(follower.run())
            tasks.create_task(self._publish(publish))

    async def _publish(self, publish: Callable[[tuple[MeshEvent, ...]], None]) -> None:
        is_first = True
        while True:
            await self._news.wait()
            # One batch for changes that arrive together: a rollout makes hundreds a second.
            await asyncio.sleep(self._timing.quiet)
            self._news.clear()
            # Services without their pods would be a mesh without endpoints, so nothing is published before all
            # kinds are read.
            if all(follower.has_answer for follower in self._followers):
                events = self._inventory.events()
                # The first time also without events: the mesh of an empty cluster is complete, too.
                if events or is_first:
                    publish(events)
                is_first = False

    def _take(self, changes: Iterable[Applied[Any] | Removed[Any]]) -> None:
        for change in changes:
            if isinstance(change, Applied):
                self._inventory.apply(change.object)
            else:
                self._inventory.remove(change.object)
        self._news.set()

    def _empty(self) -> Iterator[str]:
        there = self._inventory.namespaces
        for namespace in self._namespaces:
            followers = [one for one in self._followers if one.namespace == namespace]
            if namespace not in there and all(follower.is_synced for follower in followers):
                yield f"namespace {namespace} has no Service: is that its name?"


class Follower(Generic[ObjectT]):
    """Follows one kind in one namespace.

    Args:
        api: The API server.
        reading: What to follow.
        namespace: The namespace; empty for all.
        timing: The timeouts.
        take: Called with changes as they arrive, and without any when the state of this follower has changed.
    """

    def __init__(
        self,
        api: Api,
        reading: Reading[ObjectT],
        namespace: str,
        timing: Timing,
        take: Callable[[Iterable[Applied[ObjectT] | Removed[ObjectT]]], None],
    ) -> None:
        self.namespace = namespace
        self.problem = StandingProblem(_log, logging.WARNING)
        self._api = api
        self._reading = reading
        self._timing = timing
        self._take = take
        self._reflector: Reflector[ObjectT] = Reflector()
        self._is_refused = False

    @property
    def is_synced(self) -> bool:
        """Whether everything has been read once."""
        return self._reflector.is_synced

    @property
    def has_answer(self) -> bool:
        """Whether the objects have been read once, or the API server has refused to show them."""
        return self.is_synced or self._is_refused

    async def run(self) -> None:
        """Follow until cancelled."""
        failures = 0
        while True:
            try:
                await self._step()
                failures = 0
            except ApiError as error:
                self._fail(error)
                failures += 1
                longest = min(self._timing.retry * 2**failures, self._timing.retry_max)
                # Spread the retries of many servers over time.
                await asyncio.sleep(longest * random.uniform(0.5, 1))  # noqa: S311  no secret

    async def _step(self) -> None:
        asked = self._reflector.next()
        if isinstance(asked, ListFrom):
            page = await self._api.page(self._reading, self.namespace, asked.token)
            self._take(
                self._reflector.page(page.items or (), page.metadata.resource_version, page.metadata.continue_)
            )
            self._recover()
            return
        watch = self._api.watch(
            self._reading,
            self.namespace,
            asked.version,
            silence=self._timing.silence,
            longest=self._timing.longest,
        )
        async with aclosing(watch) as events:
            async for event in events:
                self._hear(event)
                self._recover()
        # Do not open watches in a tight loop where an API server ends each at once.
        await asyncio.sleep(self._timing.retry)

    def _hear(self, event: WatchEvent[ObjectT]) -> None:
        match event:
            case Changed():
                self._take(self._reflector.applied(event.object))
            case Deleted():
                self._take(self._reflector.removed(event.object))
            case Reached():
                self._reflector.reached(event.version)

    def _fail(self, error: ApiError) -> None:
        self._reflector.refused(error.code)
        if error.code == GONE:
            _log.info("%s: %s; listing them again", self._what, error)
            return
        self._is_refused = self._is_refused or 400 <= error.code < 500
        # The words of a connection that fails differ from one time to the next.
        self.problem.begin(self._explained(error), cause=error.code)
        self._take(())

    def _recover(self) -> None:
        if self.problem.end():
            _log.info("%s can be read again", self._what)

    @property
    def _what(self) -> str:
        return f"{self._reading.kind.plural} of " + (
            f"namespace {self.namespace}" if self.namespace else "all namespaces"
        )

    def _explained(self, error: ApiError) -> str:
        match error.code:
            case 401:
                return f"the API server at {self._api.url} does not accept the credentials: are they still valid?"
            case 403:
                needs = (
                    f"its ServiceAccount needs a Role that lets it get, list and watch {self._reading.kind.plural}"
                )
                return f"the server may not read {self._what}: {needs} ({error})"
            case 0:
                what = f"the API server at {self._api.url} does not answer ({error})"
                return f"{what}: the mesh does not change; retrying"
        return f"{self._what} cannot be read: {error}; retrying"
