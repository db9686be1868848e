"""The keys of override tokens that a server knows: those of its database, renewed in time, by it or another.

Invariant: signing never waits for the database. While that does not answer, the keys that there are go on being
used, and `problems` says so.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from detour.access.keys import Times
from detour.access.signing import KeyStore, Signer
from detour.overrides import Overrides
from detour.server.records import Records

_CHECK_SECONDS: Final = 30.0
"""How late a key may be made; it has minutes to get to every edge."""
_SERVER: Final = "detour"
"""For whom the server itself signs."""

_log = logging.getLogger(__name__)


class KeyRing:
    """The keys of a database.

    Blocks when it is made: it reads them, and makes the first.

    Args:
        records: The database where they are.
        times: When they change.

    Raises:
        OSError: When it is made: the database does not answer, or refuses.
    """

    def __init__(self, records: Records, times: Times | None = None) -> None:
        self._records = records
        self._store = KeyStore(records.database, times)
        self._problem: OSError | None = None
        self.signer: Final = Signer(self._store.renew(datetime.now(UTC)))
        """Issues tokens."""
        records.keep(KeyStore.KIND, self._reload)

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong, a line each."""
        return [f"the keys of override tokens stay as they were: {self._problem}"] if self._problem else []

    def headers_for(self, overrides: Overrides) -> Mapping[str, str]:
        """Return the headers of a request of the server's own, whose overrides any edge of the mesh believes."""
        return self.signer.headers_for(overrides, _SERVER)

    async def follow(self, seconds: float = _CHECK_SECONDS) -> None:
        """Renew the keys when it is time, until cancelled.

        Args:
            seconds: How often to look.
        """
        while True:
            await asyncio.sleep(seconds)
            try:
                await self._records.write(lambda: self._store.renew(datetime.now(UTC)))
            except OSError as error:
                if self._problem is None:
                    _log.error("%s; the keys of override tokens stay as they were", error)
                self._problem = error
            else:
                self._problem = None

    def _reload(self, _names: Collection[str]) -> None:
        self.signer.replace(self._store.all())
