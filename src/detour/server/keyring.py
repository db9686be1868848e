"""The keys of override tokens that a server knows: those of its database, renewed in time, by it or another.

Invariant: signing never waits for the database. While that does not answer, the keys that there are go on being
used, and `problems` says so.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from detour.access.keys import Key, Times
from detour.access.signing import KeyStore, Signer
from detour.database import StorageError
from detour.overrides import Overrides
from detour.server.followed_database import FollowedDatabase
from detour.server.in_memory import InMemory
from detour.standing_problem import StandingProblem

_CHECK_SECONDS: Final = 30.0
"""How late a key may be made; it has minutes to get to every edge."""
_SERVER: Final = "detour"
"""The caller in tokens that the server signs for itself."""

_log = logging.getLogger(__name__)


class KeyRing(InMemory[Key]):
    """The keys of a database, in memory.

    Blocks when it is made: it reads them, and makes the first.

    Args:
        database: Where they are.
        times: When they change.

    Raises:
        StorageError: When it is made: the database does not answer, or refuses.
    """

    def __init__(self, database: FollowedDatabase, times: Times | None = None) -> None:
        self._store = KeyStore(database.database, times)
        self._problem = StandingProblem(_log)
        self._store.renew(datetime.now(UTC))
        self.signer: Final = Signer(())
        """Issues tokens."""
        super().__init__(database, KeyStore.KIND, self._all, changed=self._hand_over)
        self._hand_over(self.rows)

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong, a line each."""
        return self._problem.lines

    def headers_for(self, overrides: Overrides) -> Mapping[str, str]:
        """Return headers for a request of the server itself: any edge of the mesh trusts its overrides."""
        return self.signer.headers_for(overrides, _SERVER)

    async def follow(self, seconds: float = _CHECK_SECONDS) -> None:
        """Renew the keys when it is time, until cancelled.

        Args:
            seconds: How often to look.
        """
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.write(lambda: self._store.renew(datetime.now(UTC)))
            except StorageError as error:
                self._problem.begin(f"the keys of override tokens stay as they were: {error}")
            else:
                self._problem.end()

    def _all(self) -> Mapping[str, Key]:
        return {key.name: key for key in self._store.all()}

    def _hand_over(self, keys: Mapping[str, Key]) -> None:
        self.signer.replace(keys.values())
