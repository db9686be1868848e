"""Following the kinds of objects that make a mesh, in each of its namespaces.

Invariant: nothing is told before everything that can be read has been read once, so that nobody is served half a
mesh; from then on a namespace that can't be read stays as it was.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from detour.mesh import Event, Naming
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
    """How patient discovery is, in seconds.

    Args:
        silence: After so long without a word a watch counts as broken; bookmarks come every minute.
        longest: How long one watch may last.
        retry: How long to wait before trying again, at first.
        retry_max: The same, after many tries.
        quiet: Changes that come this close together are told together.
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
        namespaces: Which to read; all if there is none.
        naming: What Services are called in the mesh.
        timing: How patient to be.
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
        """What cannot be read, or cannot be part of the mesh, a line each."""
        unread = (line for follower in self._followers for line in follower.problem.lines)
        return tuple(dict.fromkeys((*unread, *self._empty(), *self._inventory.problems)))

    async def version(self) -> tuple[int, int]:
        """Return the cluster's version, once the API server says; (0, 0) if it says nothing that can be read."""
        while True:
            try:
                return await self._api.version()
            except ApiError as error:
                if error.code:
                    return 0, 0
                await asyncio.sleep(self._timing.retry_max)

    async def follow(self, tell: Callable[[tuple[Event, ...]], None]) -> None:
        """Keep up with the cluster until cancelled.

        Args:
            tell: Called with the events that make the mesh once all is read, and with those that change it later.
        """
        async with asyncio.TaskGroup() as tasks:
            for follower in self._followers:
                tasks.create_task(follower.run())
            tasks.create_task(self._tell(tell))

    async def _tell(self, tell: Callable[[tuple[Event, ...]], None]) -> None:
        is_first = True
        while True:
            await self._news.wait()
            # What happens together is told together: a rollout is hundreds of changes a second.
            await asyncio.sleep(self._timing.quiet)
            self._news.clear()
            if all(follower.has_answer for follower in self._followers):
                events = self._inventory.events()
                if events or is_first:
                    tell(events)
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
        namespace: Where; everywhere if it is empty.
        timing: How patient to be.
        take: Called with changes as they come, and without any when something else is new.
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
        """Whether it is known what is there, or that it may not be known."""
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
                # Many servers must not come back to an API server at the same moment.
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
        # An API server that ends every watch at once is not to be asked as often as it can answer.
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
            _log.info("%s: %s; reading them anew", self._what, error)
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
                return f"the API server at {self._api.url} does not know who asks: are the credentials still good?"
            case 403:
                needs = (
                    f"its ServiceAccount needs a Role that lets it get, list and watch {self._reading.kind.plural}"
                )
                return f"the server may not read {self._what}: {needs} ({error})"
            case 0:
                return f"the API server at {self._api.url} cannot be heard ({error}): the mesh stays as it was"
        return f"{self._what} cannot be read: {error}"
