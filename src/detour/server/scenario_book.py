"""The scenarios of a database, in memory.

Invariant: reading the last version of a scenario never waits for the database.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from detour.mesh import Scenarios
from detour.overrides import Overrides
from detour.scenarios import Draft, Filter, LifecycleState, NoScenarioError, Scenario, ScenarioStore
from detour.server.followed_database import FollowedDatabase
from detour.server.in_memory import InMemory

_PAGE: Final = 500
_ENDED_SHOWN: Final = timedelta(days=30)
"""Time during which the links of an ended scenario say that it expired or was removed."""


class ScenarioBook(InMemory[Scenario]):
    """The last version of every scenario, including those that have expired or were removed.

    Construction blocks: it reads all of them.

    Raises:
        StorageError: From construction, and from every method that writes or reads old versions: the database does
            not answer, or refuses.
    """

    def __init__(self, database: FollowedDatabase) -> None:
        self._store = ScenarioStore(database.database)
        super().__init__(database, ScenarioStore.KIND, self._all, reread=self._some)

    def for_edges(self, now: datetime) -> Scenarios:
        """Return the scenarios for edges, without those that ended long ago."""
        live: dict[str, Overrides] = {}
        ended: dict[str, str] = {}
        for name, one in self.rows.items():
            match one.state(now):
                case LifecycleState.LIVE:
                    live[name] = one.overrides
                case LifecycleState.EXPIRED if one.expires and one.expires > now - _ENDED_SHOWN:
                    ended[name] = f"expired on {one.expires:%d %B %Y at %H:%M} UTC"
                case LifecycleState.REMOVED if one.changed > now - _ENDED_SHOWN:
                    ended[name] = f"was removed on {one.changed:%d %B %Y at %H:%M} UTC by {one.changed_by}"
        return Scenarios(MappingProxyType(live), MappingProxyType(ended))

    def get(self, name: str) -> Scenario:
        """Return the last version of a scenario, in any state.

        Raises:
            NoScenarioError: No scenario ever had that name.
        """
        found = self.rows.get(name)
        if found is None:
            raise NoScenarioError(f"scenario {name} does not exist")
        return found

    async def create(self, name: str, draft: Draft, by: str) -> Scenario:
        """Create a scenario, as `ScenarioStore.create` does."""
        made, _ = await self.write(lambda: self._store.create(name, draft, by))
        return made

    async def change(self, name: str, draft: Draft, by: str, version: int) -> Scenario:
        """Create the next version of a scenario, as `ScenarioStore.change` does."""
        made, _ = await self.write(lambda: self._store.change(name, draft, by, version))
        return made

    async def remove(self, name: str, by: str, version: int) -> None:
        """Remove a scenario, as `ScenarioStore.remove` does."""
        await self.write(lambda: self._store.remove(name, by, version))

    async def version(self, name: str, version: int) -> Scenario:
        """Return a version of a scenario, as `ScenarioStore.version` does."""
        return await asyncio.to_thread(self._store.version, name, version)

    async def versions(self, name: str, before: int | None, limit: int) -> Sequence[Scenario]:
        """Return versions of a scenario, newest first, as `ScenarioStore.versions` does."""
        return await asyncio.to_thread(self._store.versions, name, before, limit)

    async def all(self, wanted: Filter, after: str, limit: int) -> Sequence[Scenario]:
        """Return scenarios by name, as `ScenarioStore.all` does."""
        return await asyncio.to_thread(self._store.all, wanted, after, limit)

    def _some(self, names: Collection[str]) -> Mapping[str, Scenario]:
        return {name: self._store.get(name) for name in names}

    def _all(self) -> Mapping[str, Scenario]:
        wanted, found, after = Filter(datetime.now(UTC), state=None), dict[str, Scenario](), ""
        while page := self._store.all(wanted, after, _PAGE):
            found |= {one.name: one for one in page}
            after = page[-1].name
        return found
