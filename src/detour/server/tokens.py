"""The operations on API tokens and override tokens, with their permissions.

Invariant: each operation checks the permissions of its caller, over HTTP and within this process.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from detour.access import ApiToken, Identity, NoTokenError, Role, Via
from detour.access.signing import OverrideToken
from detour.server.followed_database import expect_database
from detour.server.identities import TokenBook
from detour.server.keyring import KeyRing


class TokenOperations:
    """The operations on API tokens.

    Args:
        tokens: The tokens; None without a database: then every operation raises `NoDatabaseError`.
    """

    def __init__(self, tokens: TokenBook | None) -> None:
        self._tokens = tokens

    def list(self, caller: Identity) -> Sequence[ApiToken]:
        """Return the caller's own tokens; for admins, all tokens."""
        return [one for one in self._kept.rows.values() if caller.may_act_for(one.owner)]

    async def create(
        self, caller: Identity, name: str, role: Role, owner: str | None, expires: datetime | None
    ) -> tuple[ApiToken, str]:
        """Create a token; return its stored part, and its text, which is not stored.

        Args:
            caller: The user who requests it.
            name: Its purpose, as free text.
            role: Its role: at most the role of the caller.
            owner: The user that it acts as: the caller, or for admins any user.
            expires: When it expires (timezone-aware); None for never.

        Raises:
            ForbiddenError: The caller is only a viewer, has a lower role than the token, or is not its owner.
        """
        caller.expect(Role.DEVELOPER)
        owner = owner or caller.name
        caller.expect(role)
        caller.expect_owner("that name", owner)
        return await self._kept.create(name, Identity(owner, role, Via.TOKEN), expires, caller.name)

    async def remove(self, caller: Identity, id_: str) -> None:
        """Remove a token, so that it is invalid.

        Raises:
            NoTokenError: No token has that id.
            ForbiddenError: Another user owns it, or the caller is only a viewer.
        """
        caller.expect(Role.DEVELOPER)
        found = self._kept.rows.get(id_)
        if found is None:
            raise NoTokenError(f"token {id_} does not exist")
        caller.expect_owner(f"token {id_}", found.owner)
        await self._kept.remove(id_, caller.name)

    @property
    def _kept(self) -> TokenBook:
        return expect_database(self._tokens)


class OverrideTokenOperations:
    """The operations on override tokens.

    Args:
        keyring: Their keys; None without a database: then every operation raises `NoDatabaseError`.
    """

    def __init__(self, keyring: KeyRing | None) -> None:
        self._keyring = keyring

    def issue(self, caller: Identity, life: timedelta) -> OverrideToken:
        """Issue a token with which an edge accepts the overrides of requests from outside, until it expires.

        Raises:
            ForbiddenError: The caller is only a viewer.
            ValueError: `life` is too long.
        """
        caller.expect(Role.DEVELOPER)
        return expect_database(self._keyring).signer.token(caller.name, life)
