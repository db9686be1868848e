"""A server's database, followed: what this server writes, and what others write.

Invariant: those who keep rows in memory receive each change, in the order of the log, before its writer gets an
answer. While the database does not answer, what was last read still holds, and `problems` says so.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from typing import Final, TypeVar

from detour.database import Change, ChangeLog, Database, StorageError
from detour.standing_problem import StandingProblem

_POLL_SECONDS: Final = 0.25
"""How late other servers' changes may be seen: a changed scenario holds for its open links within a second."""
_PAGE: Final = 500

_log = logging.getLogger(__name__)

Result = TypeVar("Result")
Kept = TypeVar("Kept")
Listener = Callable[[Sequence[Change]], None]
Reload = Callable[[Collection[str]], None]


class NoDatabaseError(RuntimeError):
    """The server has no database, and only a database keeps what is asked for."""

    def __init__(self) -> None:
        super().__init__("this server has no database: start it with detour serve --database URL")


def expect_database(found: Kept | None) -> Kept:
    """Return what a server keeps in its database.

    Raises:
        NoDatabaseError: It has none.
    """
    if found is None:
        raise NoDatabaseError
    return found


class FollowedDatabase:
    """A database, and the last change of it that this server knows.

    Blocks when it is made.

    Raises:
        StorageError: When it is made, and from every method that reads or writes: the database does not answer, or
            refuses.
    """

    def __init__(self, database: Database) -> None:
        self.database: Final = database
        self._changes = ChangeLog(database)
        self._problem = StandingProblem(_log)
        self._revision = self._changes.revision()
        self._catching_up = asyncio.Lock()
        self._reloads: dict[str, Reload] = {}
        self._listeners: list[Listener] = []

    @property
    def revision(self) -> int:
        """The last change that it knows."""
        return self._revision

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong with the database, a line each."""
        return self._problem.lines

    def keep(self, kind: str, reload: Reload) -> None:
        """Have a function called, in a thread, with the subjects of one kind that have changed."""
        self._reloads[kind] = reload

    def listen(self, listener: Listener) -> None:
        """Have a function called with changes, oldest first, after they have taken effect."""
        self._listeners.append(listener)

    async def write(self, write: Callable[[], Result]) -> Result:
        """Call a function that writes, in a thread; return its result once all who keep rows in memory have it."""
        written = await _in_thread(write)
        await self._catch_up()
        return written

    async def note(self, who: str, action: str, kind: str, subject: str) -> None:
        """Write a change into the log that is kept elsewhere."""
        await self.write(lambda: self._changes.add(who, action, kind, subject))

    async def changes(self, before: int | None, limit: int) -> Sequence[Change]:
        """Return changes, newest first, as `ChangeLog.before` does."""
        return await _in_thread(self._changes.before, before, limit)

    async def follow(self) -> None:
        """Keep up with what other servers write, until cancelled."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                if await _in_thread(self._changes.revision) > self._revision:
                    await self._catch_up()
            except StorageError as error:
                self._problem.begin(f"scenarios stay as they were: {error}")
            else:
                self._problem.end()

    async def _catch_up(self) -> None:
        """Take over all that was written, by this server or another, in its order."""
        async with self._catching_up:
            while news := await _in_thread(self._changes.since, self._revision, _PAGE):
                # A reload that is added meanwhile has just read its rows.
                for kind, reload in tuple(self._reloads.items()):
                    if subjects := {one.subject for one in news if one.kind == kind}:
                        await _in_thread(reload, subjects)
                self._revision = news[-1].revision
                for listener in self._listeners:
                    listener(news)


async def _in_thread(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function in a thread; a cancelled caller waits for its end, since the database may be closed next."""
    calling = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    try:
        return await asyncio.shield(calling)
    except asyncio.CancelledError:
        await asyncio.wait([calling])
        raise
