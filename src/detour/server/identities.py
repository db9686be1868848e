"""Who calls the API: a program on the server's own machine, or the user whom a token acts as.

Invariant: without an issuer, programs of the server's own machine need nothing: whoever is there could read its
files as well. Everybody else brings an API token, or one of the issuer's.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from detour.access import (
    ApiToken,
    Asker,
    ForbiddenError,
    Identity,
    Issuer,
    Role,
    TokenStore,
    UnknownCallerError,
    Via,
)
from detour.access.tokens import id_of
from detour.server.followed_database import FollowedDatabase
from detour.server.in_memory import InMemory


class TokenBook(InMemory[ApiToken]):
    """The API tokens of a database, in memory, oldest first.

    Blocks when it is made: it reads all of them.

    Raises:
        StorageError: When it is made, and from every method that writes: the database does not answer, or refuses.
    """

    def __init__(self, database: FollowedDatabase) -> None:
        self._store = TokenStore(database.database)
        super().__init__(database, TokenStore.KIND, self._all)

    def identity(self, token: str) -> Identity:
        """Return the user whom a token acts as.

        Raises:
            UnknownCallerError: It is invalid or has expired.
        """
        found = self.rows.get(id_of(token) or "")
        if found is None or not found.admits(token, datetime.now(UTC)):
            raise UnknownCallerError(
                "this API token is invalid or expired: create one with detour token create, or sign in with"
                " detour login"
            )
        return found.identity

    async def create(self, name: str, owner: Identity, expires: datetime | None, by: str) -> tuple[ApiToken, str]:
        """Make a token, as `TokenStore.create` does."""
        return await self.write(lambda: self._store.create(name, owner, expires, by))

    async def remove(self, id_: str, by: str) -> None:
        """Make a token invalid, as `TokenStore.remove` does."""
        await self.write(lambda: self._store.remove(id_, by))

    def _all(self) -> Mapping[str, ApiToken]:
        return {one.id: one for one in self._store.all()}


class Identities:
    """Everybody who may be known.

    Args:
        tokens: The API tokens; None without a database.
        issuer: The OpenID Connect issuer to sign in with; None without one.
    """

    def __init__(self, tokens: TokenBook | None = None, issuer: Issuer | None = None) -> None:
        self.tokens: Final = tokens
        self.issuer: Final = issuer

    async def identify(self, asker: Asker) -> Identity:
        """Return who calls.

        Raises:
            UnknownCallerError: The caller is unknown.
            ForbiddenError: It is somebody without a role, or another site's page in their browser.
            IssuerError: The issuer's keys can't be had.
        """
        if asker.authorization:
            # No browser adds that by itself: where it is, no other site's page can have sent the request unasked.
            return await self._by_token(asker.bearer)
        if not asker.is_same_site:
            raise ForbiddenError(f"a page of {asker.origin} may not use this server: send no Origin, or its own")
        if self.is_open_to(asker):
            return Identity(asker.user, Role.ADMIN, Via.LOCAL)
        raise UnknownCallerError(self._way_in())

    def is_open_to(self, asker: Asker) -> bool:
        """Say whether it needs no token."""
        return self.issuer is None and asker.is_local

    async def _by_token(self, token: str) -> Identity:
        if token.count(".") == 2 and self.issuer:
            return await self.issuer.identity(token)
        if self.tokens is None:
            raise UnknownCallerError(self._way_in())
        return self.tokens.identity(token)

    def _way_in(self) -> str:
        if self.issuer or (self.tokens and self.tokens.rows):
            return "sign in: detour login, or send Authorization: Bearer and a token"
        return (
            "this server answers its own machine only: reach it from there, through kubectl port-forward or ssh -L;"
            " detour token create, run so, makes a token for others"
        )
