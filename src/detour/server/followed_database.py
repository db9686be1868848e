"""A database, with the changes that this server and others write to it.

Invariant: caches of rows receive each change, in the order of the log, before the writer's call returns. While the
database does not answer, the last known rows stay in use, and `problems` says so.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from typing import Final, TypeVar

from detour.database import Change, ChangeLog, Database, StorageError
from detour.standing_problem import StandingProblem

_POLL_SECONDS: Final = 0.25
"""Maximum delay of other servers' changes: a changed scenario takes effect on its open links within a second."""
_PAGE: Final = 500

_log = logging.getLogger(__name__)

Result = TypeVar("Result")
Kept = TypeVar("Kept")
Listener = Callable[[Sequence[Change]], None]
Reload = Callable[[Collection[str]], None]


class NoDatabaseError(RuntimeError):
    """The operation needs a database, and the server has none."""

    def __init__(self) -> None:
        super().__init__("this server has no database: start it with detour serve --database URL")


def expect_database(found: Kept | None) -> Kept:
    """Return a part of the server that needs a database.

    Raises:
        NoDatabaseError: The server has no database, so the part is None.
    """
    if found is None:
        raise NoDatabaseError
    return found


class FollowedDatabase:
    """A database, and the last change that this server has read from its log.

    Construction blocks.

    Raises:
        StorageError: From construction, and from every method that reads or writes: the database does not answer,
            or refuses.
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
        """The revision of the last change that this server has read."""
        return self._revision

    @property
    def problems(self) -> Sequence[str]:
        """Current problems of the database, a line each."""
        return self._problem.lines

    def register_cache(self, kind: str, reload: Reload) -> None:
        """Register a cache: `reload` is called, in a thread, with the subjects of its kind that have changed."""
        self._reloads[kind] = reload

    def listen(self, listener: Listener) -> None:
        """Register a function that is called with changes, oldest first, after they have taken effect."""
        self._listeners.append(listener)

    async def write(self, write: Callable[[], Result]) -> Result:
        """Call a function that writes, in a thread; return its result once all caches have the change."""
        # Then the same path as for changes of other servers, so that caches change in the order of the log.
        written = await _in_thread(write)
        await self._catch_up()
        return written

    async def note(self, who: str, action: str, kind: str, subject: str) -> None:
        """Log a change that is not stored in this database."""
        await self.write(lambda: self._changes.add(who, action, kind, subject))

    async def changes(self, before: int | None, limit: int) -> Sequence[Change]:
        """Return changes, newest first, as `ChangeLog.before` does."""
        return await _in_thread(self._changes.before, before, limit)

    async def follow(self) -> None:
        """Follow what other servers write, until cancelled."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                if await _in_thread(self._changes.revision) > self._revision:
                    await self._catch_up()
            except StorageError as error:
                self._problem.begin(f"changes by other servers are not visible: {error}")
            else:
                self._problem.end()

    async def _catch_up(self) -> None:
        """Read all new changes, by this server and others, in the order of the log."""
        # One at a time: two readers could hand changes to a cache in another order than the log has them.
        async with self._catching_up:
            while news := await _in_thread(self._changes.since, self._revision, _PAGE):
                # A cache that registers meanwhile has just read its rows.
                for kind, reload in tuple(self._reloads.items()):
                    if subjects := {one.subject for one in news if one.kind == kind}:
                        await _in_thread(reload, subjects)
                # Not before: if a cache fails to reload, the next attempt reads these changes again.
                self._revision = news[-1].revision
                for listener in self._listeners:
                    listener(news)


async def _in_thread(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function in a thread. A cancelled caller waits for its end: the database may be closed next."""
    calling = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    try:
        return await asyncio.shield(calling)
    except asyncio.CancelledError:
        await asyncio.wait([calling])
        raise
