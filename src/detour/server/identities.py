"""Authentication of API callers: local programs, API tokens, and tokens of the issuer.

Invariant: without an issuer, programs on the server's own machine need no token: they could read its files as well.
All other callers need an API token, or a token of the issuer.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from detour.access import (
    ApiToken,
    ForbiddenError,
    Identity,
    Issuer,
    Requester,
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

    Construction blocks: it reads all of them.

    Raises:
        StorageError: From construction and from every method that writes: the database does not answer, or refuses.
    """

    def __init__(self, database: FollowedDatabase) -> None:
        self._store = TokenStore(database.database)
        super().__init__(database, TokenStore.KIND, self._all)

    def identity(self, token: str) -> Identity:
        """Return the user that a token acts as.

        Raises:
            UnknownCallerError: The token is invalid or has expired.
        """
        found = self.rows.get(id_of(token) or "")
        if found is None or not found.admits(token, datetime.now(UTC)):
            raise UnknownCallerError(
                "this API token is invalid or expired: create one with detour token create, or sign in with"
                " detour login"
            )
        return found.identity

    async def create(self, name: str, owner: Identity, expires: datetime | None, by: str) -> tuple[ApiToken, str]:
        """Create a token, as `TokenStore.create` does."""
        return await self.write(lambda: self._store.create(name, owner, expires, by))

    async def remove(self, id_: str, by: str) -> None:
        """Remove a token, as `TokenStore.remove` does."""
        await self.write(lambda: self._store.remove(id_, by))

    def _all(self) -> Mapping[str, ApiToken]:
        return {one.id: one for one in self._store.all()}


class Identities:
    """Authenticates callers.

    Args:
        tokens: The API tokens; None without a database.
        issuer: The OpenID Connect issuer to sign in with; None without one.
    """

    def __init__(self, tokens: TokenBook | None = None, issuer: Issuer | None = None) -> None:
        self.tokens: Final = tokens
        self.issuer: Final = issuer

    async def identify(self, requester: Requester) -> Identity:
        """Return the identity of a request's sender.

        Raises:
            UnknownCallerError: The request needs a valid token.
            ForbiddenError: The user has no role, or the request comes from a page of another site.
            IssuerError: The issuer's keys cannot be fetched.
        """
        if requester.authorization:
            # Browsers never add this header on their own, so a page of another site cannot have forged the request.
            return await self._by_token(requester.bearer)
        if not requester.is_same_site:
            raise ForbiddenError(
                f"pages of {requester.origin} may not use this server: omit Origin, or send the server's own"
            )
        if self.accepts_without_token(requester):
            return Identity(requester.user, Role.ADMIN, Via.LOCAL)
        raise UnknownCallerError(self._how_to_sign_in())

    def accepts_without_token(self, requester: Requester) -> bool:
        """Return whether a request needs no token."""
        return self.issuer is None and requester.is_local

    async def _by_token(self, token: str) -> Identity:
        if token.count(".") == 2 and self.issuer:
            return await self.issuer.identity(token)
        if self.tokens is None:
            raise UnknownCallerError(self._how_to_sign_in())
        return self.tokens.identity(token)

    def _how_to_sign_in(self) -> str:
        if self.issuer or (self.tokens and self.tokens.rows):
            return "sign in: detour login, or send Authorization: Bearer and a token"
        return (
            "this server accepts requests without a token only from its own machine: connect from there, or through"
            " kubectl port-forward or ssh -L, and create a token for other machines with detour token create"
        )
