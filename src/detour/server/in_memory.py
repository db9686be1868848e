"""Rows of a database in memory: the scenarios, the API tokens, the keys of override tokens.

Invariant: what was written and answered is in memory, as it is on disk. Reading never waits for the database.
"""

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Final, Generic, TypeVar

from detour.server.followed_database import FollowedDatabase, Result

Row = TypeVar("Row")
Rows = Mapping[str, Row]


class InMemory(Generic[Row]):
    """The rows of one kind.

    Blocks when it is made: it reads all of them.

    Args:
        database: Where they are.
        kind: What the log of changes calls one.
        read: Reads all of them, in a thread.
        reread: Reads those that have changed; without it, all are read again.
        changed: Called with them all after a change, in a thread.

    Raises:
        StorageError: When it is made, and from `write`: the database does not answer, or refuses.
    """

    def __init__(
        self,
        database: FollowedDatabase,
        kind: str,
        read: Callable[[], Rows[Row]],
        *,
        reread: Callable[[Collection[str]], Rows[Row]] | None = None,
        changed: Callable[[Rows[Row]], None] | None = None,
    ) -> None:
        self.database: Final = database
        self._read = read
        self._reread = reread
        self._changed = changed or (lambda _rows: None)
        self._rows: Rows[Row] = dict(read())
        database.keep(kind, self._take)

    @property
    def rows(self) -> Rows[Row]:
        """All of them by name."""
        return MappingProxyType(self._rows)

    async def write(self, write: Callable[[], Result]) -> Result:
        """Call a function that writes, in a thread; what it wrote is in memory when this returns its result."""
        return await self.database.write(write)

    def _take(self, names: Collection[str]) -> None:
        # Replaced as a whole: another thread that iterates over the rows keeps those that it began with.
        self._rows = {**self._rows, **self._reread(names)} if self._reread else dict(self._read())
        self._changed(self._rows)
