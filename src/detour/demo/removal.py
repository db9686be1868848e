"""Removes an offloaded deployment while requests run, with and without an override that names it.

Invariant: the expectation depends only on when a request began and ended. The deployment must serve requests that
end before the removal. Requests that begin shortly after it must fail. Those in between may do either. No request
with the override may ever reach the baseline.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter

from detour.demo.call_tree import Call
from detour.demo.verdict import NO_OVERRIDE, Expectation, Verifier

SETTLED_SECONDS = 0.5
"""Requests that begin this long after the removal is confirmed must fail."""

_SENDERS = 2
"""The number of concurrent requests of each kind."""

_EACH_SIDE = 10
"""The minimum number of requests of each kind before the removal, and again after `SETTLED_SECONDS`."""

_DEADLINE_SECONDS = 30

Send = Callable[[], Awaitable[Call]]


@dataclass(frozen=True, slots=True)
class Request:
    """A request and its result; times are in seconds of one clock."""

    overridden: bool
    began: float
    ended: float
    tree: Call


@dataclass(frozen=True, slots=True)
class Stream:
    """The requests that ran, and the time of the removal: from the call of the API to its response."""

    requests: tuple[Request, ...]
    removal_began: float
    removal_ended: float

    def plain(self) -> list[Call]:
        """Return the requests without overrides."""
        return [one.tree for one in self.requests if not one.overridden]

    def before(self) -> list[Call]:
        """Return the overridden requests that ended before the removal began."""
        return [one.tree for one in self._overridden() if one.ended < self.removal_began]

    def during(self) -> list[Call]:
        """Return the overridden requests that overlap the removal."""
        return [
            one.tree
            for one in self._overridden()
            if one.ended >= self.removal_began and one.began < self._settled()
        ]

    def after(self) -> list[Call]:
        """Return the overridden requests that began `SETTLED_SECONDS` after the removal."""
        return [one.tree for one in self._overridden() if one.began >= self._settled()]

    def trees(self) -> list[Call]:
        """Return all requests."""
        return [one.tree for one in self.requests]

    def _overridden(self) -> Iterator[Request]:
        return (one for one in self.requests if one.overridden)

    def _settled(self) -> float:
        return self.removal_ended + SETTLED_SECONDS


async def remove_under_load(plain: Send, overridden: Send, remove: Callable[[], Awaitable[None]]) -> Stream:
    """Send requests of both kinds, remove the deployment meanwhile, and continue until after `SETTLED_SECONDS`.

    Raises:
        TimeoutError: The mesh was too slow to answer enough requests before and after the removal.
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
    """Sends requests from several concurrent senders, and records the results."""

    requests: list[Request] = field(default_factory=list)
    _another: asyncio.Event = field(default_factory=asyncio.Event)
    _is_done: bool = False

    @asynccontextmanager
    async def sending(self, plain: Send, overridden: Send) -> AsyncIterator[None]:
        """Keep sending within the context; on exit, wait for requests in flight."""
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
        """Wait until enough requests of each kind that began after `since` have ended."""
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


def verify_removal(verifier: Verifier, stream: Stream, before: Expectation, after: Expectation) -> list[str]:
    """Return a description of each wrong hop of the stream.

    Args:
        verifier: Verifies the hops of the mesh.
        stream: The requests of both kinds.
        before: The expectation for overridden requests while the deployment exists.
        after: The expectation for overridden requests after the removal.
    """
    verify = verifier.verify
    return [
        *(f"no override: {wrong}" for tree in stream.plain() for wrong in verify(tree, NO_OVERRIDE)),
        *(f"before the removal: {wrong}" for tree in stream.before() for wrong in verify(tree, before)),
        *(f"during the removal: {wrong}" for tree in stream.during() for wrong in verify(tree, before, after)),
        *(f"after the removal: {wrong}" for tree in stream.after() for wrong in verify(tree, after)),
    ]
