"""The scenarios that a server knows: those of its database, in memory, kept up with what other servers write.

Invariant: what has been answered is on disk, and in memory. Reading never waits for the database; while that does
not answer, what was last read still holds, and `problems` says so.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, TypeVar

from detour.database import Change, ChangeLog, Database
from detour.scenarios import Draft, Filter, NoScenarioError, Scenario, ScenarioStore

_POLL_SECONDS: Final = 0.25
"""How late other servers' changes may be seen: a changed scenario holds for its open links within a second."""
_PAGE: Final = 500

_log = logging.getLogger(__name__)

Result = TypeVar("Result")
Listener = Callable[[Sequence[Change]], None]


class ScenarioBook:
    """The scenarios of a database.

    Blocks when it is made: it reads all of them.

    Raises:
        OSError: When it is made, and from every method that writes or reads old versions: the database does not
            answer, or refuses.
    """

    def __init__(self, database: Database) -> None:
        self._store = ScenarioStore(database)
        self._changes = ChangeLog(database)
        self._problem: OSError | None = None
        self._revision = self._changes.revision()
        self._scenarios = dict(self._all())
        self._catching_up = asyncio.Lock()
        self._listeners: list[Listener] = []

    @property
    def scenarios(self) -> Mapping[str, Scenario]:
        """The last version of every scenario, also of those that have expired or were removed."""
        return MappingProxyType(self._scenarios)

    @property
    def revision(self) -> int:
        """The last change that it knows."""
        return self._revision

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong with the database, a line each."""
        return [f"scenarios stay as they were: {self._problem}"] if self._problem else []

    def listen(self, listener: Listener) -> None:
        """Have a function called with changes, oldest first, after they have taken effect."""
        self._listeners.append(listener)

    def get(self, name: str) -> Scenario:
        """Return the last version of a scenario, in whatever state.

        Raises:
            NoScenarioError: There never was one of that name.
        """
        found = self._scenarios.get(name)
        if found is None:
            raise NoScenarioError(f"there is no scenario {name}")
        return found

    async def create(self, name: str, draft: Draft, by: str) -> Scenario:
        """Make a scenario, as `ScenarioStore.create` does."""
        made, _ = await self._write(lambda: self._store.create(name, draft, by))
        return made

    async def change(self, name: str, draft: Draft, by: str, version: int) -> Scenario:
        """Make the next version of a scenario, as `ScenarioStore.change` does."""
        made, _ = await self._write(lambda: self._store.change(name, draft, by, version))
        return made

    async def remove(self, name: str, by: str, version: int) -> None:
        """Remove a scenario, as `ScenarioStore.remove` does."""
        await self._write(lambda: self._store.remove(name, by, version))

    async def note(self, who: str, action: str, kind: str, subject: str) -> None:
        """Put a change that is kept elsewhere into the log."""
        await self._write(lambda: self._changes.add(who, action, kind, subject))

    async def version(self, name: str, version: int) -> Scenario:
        """Return a version of a scenario, as `ScenarioStore.version` does."""
        return await asyncio.to_thread(self._store.version, name, version)

    async def versions(self, name: str, before: int | None, limit: int) -> Sequence[Scenario]:
        """Return versions of a scenario, newest first, as `ScenarioStore.versions` does."""
        return await asyncio.to_thread(self._store.versions, name, before, limit)

    async def all(self, wanted: Filter, after: str, limit: int) -> Sequence[Scenario]:
        """Return scenarios by name, as `ScenarioStore.all` does."""
        return await asyncio.to_thread(self._store.all, wanted, after, limit)

    async def changes(self, before: int | None, limit: int) -> Sequence[Change]:
        """Return changes, newest first, as `ChangeLog.before` does."""
        return await asyncio.to_thread(self._changes.before, before, limit)

    async def follow(self) -> None:
        """Keep up with what other servers write, until cancelled."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                if await asyncio.to_thread(self._changes.revision) > self._revision:
                    await self._catch_up()
            except OSError as error:
                if self._problem is None:
                    _log.error("%s; scenarios stay as they were", error)
                self._problem = error
            else:
                self._problem = None

    async def _write(self, write: Callable[[], Result]) -> Result:
        written = await asyncio.to_thread(write)
        await self._catch_up()
        return written

    async def _catch_up(self) -> None:
        """Take over all that was written, by this server or another, in its order."""
        async with self._catching_up:
            while news := await asyncio.to_thread(self._changes.since, self._revision, _PAGE):
                for name in {one.subject for one in news if one.kind == ScenarioStore.KIND}:
                    self._scenarios[name] = await asyncio.to_thread(self._store.get, name)
                self._revision = news[-1].revision
                for listener in self._listeners:
                    listener(news)

    def _all(self) -> Sequence[tuple[str, Scenario]]:
        wanted, found, after = Filter(datetime.now(UTC), state=None), list[tuple[str, Scenario]](), ""
        while page := self._store.all(wanted, after, _PAGE):
            found += [(one.name, one) for one in page]
            after = page[-1].name
        return found
