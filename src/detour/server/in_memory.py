"""In-memory caches of database rows: the scenarios, the API tokens, the keys of override tokens.

Invariant: when a write returns, its rows are in memory and on disk. Reading never waits for the database.
"""

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Final, Generic, TypeVar

from detour.server.followed_database import FollowedDatabase, Result

Row = TypeVar("Row")
Rows = Mapping[str, Row]


class InMemory(Generic[Row]):
    """A cache of all rows of one kind.

    Construction blocks: it reads all of them.

    Args:
        database: The database.
        kind: The kind in the log of changes.
        read: Reads all rows, in a thread.
        reread: Reads the rows that have changed; without it, all are read again.
        changed: Called with all rows after a change, in a thread.

    Raises:
        StorageError: From construction and from `write`: the database does not answer, or refuses.
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
        database.register_cache(kind, self._take)

    @property
    def rows(self) -> Rows[Row]:
        """All rows by name."""
        return MappingProxyType(self._rows)

    async def write(self, write: Callable[[], Result]) -> Result:
        """Call a function that writes, in a thread; return its result once its rows are in memory."""
        return await self.database.write(write)

    def _take(self, names: Collection[str]) -> None:
        # A new mapping, because another thread may iterate over the old one.
        self._rows = {**self._rows, **self._reread(names)} if self._reread else dict(self._read())
        self._changed(self._rows)
