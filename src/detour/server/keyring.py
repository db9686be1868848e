"""The keys of override tokens, in memory; this server or another one renews them in the database.

Invariant: signing never waits for the database. While the database does not answer, the known keys stay in use, and
`problems` says so.
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
"""Maximum delay of a new key; edges then have minutes to receive it."""
_SERVER: Final = "detour"
"""The subject of tokens that the server signs for its own requests."""

_log = logging.getLogger(__name__)


class KeyRing(InMemory[Key]):
    """The keys of a database, in memory.

    Construction blocks: it reads the keys, and creates the first one.

    Args:
        database: The database.
        times: When keys change.

    Raises:
        StorageError: From construction: the database does not answer, or refuses.
    """

    def __init__(self, database: FollowedDatabase, times: Times | None = None) -> None:
        self._store = KeyStore(database.database, times)
        self._problem = StandingProblem(_log)
        self._store.renew(datetime.now(UTC))
        self.signer: Final = Signer(())
        """Issues tokens."""
        super().__init__(database, KeyStore.KIND, self._all, changed=self._use)
        self._use(self.rows)

    @property
    def problems(self) -> Sequence[str]:
        """Current problems, a line each."""
        return self._problem.lines

    def headers_for(self, overrides: Overrides) -> Mapping[str, str]:
        """Return the headers of a request by the server itself; every edge of the mesh accepts its overrides."""
        return self.signer.headers_for(overrides, _SERVER)

    async def follow(self, seconds: float = _CHECK_SECONDS) -> None:
        """Renew the keys when one is due, until cancelled.

        Args:
            seconds: The interval between checks.
        """
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.write(lambda: self._store.renew(datetime.now(UTC)))
            except StorageError as error:
                self._problem.begin(f"the keys of override tokens could not be renewed: {error}")
            else:
                self._problem.end()

    def _all(self) -> Mapping[str, Key]:
        return {key.name: key for key in self._store.all()}

    def _use(self, keys: Mapping[str, Key]) -> None:
        self.signer.replace(keys.values())
