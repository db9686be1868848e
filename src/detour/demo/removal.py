"""Removing an offloaded deployment while requests run, some that asked for it and some that did not.

Invariant: what is judged depends only on when a request began and ended. One that ended before the removal must
have been served by the deployment; one that began a moment after it must have failed; one in between may have done
either, and none may ever reach the baseline in the deployment's place.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter

from detour.demo.call_tree import Call
from detour.demo.verdict import NO_OVERRIDE, Expectation, Judge

SETTLED_SECONDS = 0.5
"""How soon after the removal is confirmed every request must feel it."""

_SENDERS = 2
"""How many requests of each kind are under way at a time."""

_EACH_SIDE = 10
"""How many requests of each kind there must be before the removal, and again after it has settled."""

_DEADLINE_SECONDS = 30

Send = Callable[[], Awaitable[Call]]


@dataclass(frozen=True, slots=True)
class Request:
    """A request of the stream, with what came of it; times are in seconds of one clock."""

    overridden: bool
    began: float
    ended: float
    tree: Call


@dataclass(frozen=True, slots=True)
class Stream:
    """The requests that ran, and when the deployment was removed: from the call to the API to its answer."""

    requests: tuple[Request, ...]
    removal_began: float
    removal_ended: float

    def plain(self) -> list[Call]:
        """Return the requests that asked for nothing."""
        return [one.tree for one in self.requests if not one.overridden]

    def before(self) -> list[Call]:
        """Return the overridden requests that ended before the removal began."""
        return [one.tree for one in self._overridden() if one.ended < self.removal_began]

    def during(self) -> list[Call]:
        """Return the overridden requests that may have been on either side of it."""
        return [
            one.tree
            for one in self._overridden()
            if one.ended >= self.removal_began and one.began < self._settled()
        ]

    def after(self) -> list[Call]:
        """Return the overridden requests that began when it had settled."""
        return [one.tree for one in self._overridden() if one.began >= self._settled()]

    def trees(self) -> list[Call]:
        """Return all requests."""
        return [one.tree for one in self.requests]

    def _overridden(self) -> Iterator[Request]:
        return (one for one in self.requests if one.overridden)

    def _settled(self) -> float:
        return self.removal_ended + SETTLED_SECONDS


async def remove_under_load(plain: Send, overridden: Send, remove: Callable[[], Awaitable[None]]) -> Stream:
    """Send requests of both kinds, remove the deployment amid them, and go on until that has settled.

    Raises:
        TimeoutError: The mesh is so slow that there were not enough requests on both sides in time.
    """
    recorder = _Recorder()
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS), recorder.sending(plain, overridden):
            await recorder.saw_enough(since=0)
            began = perf_counter()
            await remove()
            ended = perf_counter()
            await recorder.saw_enough(since=ended + SETTLED_SECONDS)
    except TimeoutError:
        sent = len(recorder.requests)
        raise TimeoutError(f"the mesh answered only {sent} requests within {_DEADLINE_SECONDS} s") from None
    return Stream(tuple(recorder.requests), began, ended)


@dataclass(slots=True)
class _Recorder:
    """Sends requests one after another from several senders, and keeps what came of them."""

    requests: list[Request] = field(default_factory=list)
    _another: asyncio.Event = field(default_factory=asyncio.Event)
    _is_done: bool = False

    @asynccontextmanager
    async def sending(self, plain: Send, overridden: Send) -> AsyncIterator[None]:
        """Keep sending; the requests under way at the end are waited for."""
        kinds = [(plain, False), (overridden, True)] * _SENDERS
        senders = [asyncio.create_task(self._keep_sending(send, is_overridden)) for send, is_overridden in kinds]
        try:
            yield
            self._is_done = True
            await asyncio.gather(*senders)
        finally:
            for sender in senders:
                sender.cancel()

    async def saw_enough(self, since: float) -> None:
        """Wait for enough requests of each kind that began after `since`."""
        while not all(self._count(overridden, since) >= _EACH_SIDE for overridden in (True, False)):
            self._another.clear()
            await self._another.wait()

    def _count(self, overridden: bool, since: float) -> int:
        return sum(one.overridden is overridden and one.began >= since for one in self.requests)

    async def _keep_sending(self, send: Send, overridden: bool) -> None:
        while not self._is_done:
            began = perf_counter()
            tree = await send()
            self.requests.append(Request(overridden, began, perf_counter(), tree))
            self._another.set()


def judge(knows: Judge, stream: Stream, before: Expectation, after: Expectation) -> list[str]:
    """Name each wrong hop of the stream.

    Args:
        knows: The mesh.
        stream: The requests of both kinds.
        before: What holds for overridden requests while the deployment is there.
        after: What holds for them when it is gone.
    """
    return [
        *(f"no override: {wrong}" for tree in stream.plain() for wrong in knows.verify(tree, NO_OVERRIDE)),
        *(f"before the removal: {wrong}" for tree in stream.before() for wrong in knows.verify(tree, before)),
        *(f"meanwhile: {wrong}" for tree in stream.during() for wrong in knows.verify(tree, before, after)),
        *(f"after the removal: {wrong}" for tree in stream.after() for wrong in knows.verify(tree, after)),
    ]
