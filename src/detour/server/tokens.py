"""What may be done with API tokens and override tokens, and by whom.

Invariant: each operation checks that its caller may do it, whether the caller comes by HTTP or from this process.
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
        tokens: The tokens; None if there is no database, so that every operation raises `NoDatabaseError`.
    """

    def __init__(self, tokens: TokenBook | None) -> None:
        self._tokens = tokens

    def list(self, caller: Identity) -> Sequence[ApiToken]:
        """Return the caller's own tokens; for an admin everybody's."""
        return [one for one in self._kept.rows.values() if caller.may_act_for(one.owner)]

    async def create(
        self, caller: Identity, name: str, role: Role, owner: str | None, expires: datetime | None
    ) -> tuple[ApiToken, str]:
        """Make a token; return what is kept of it, and its text, which is not kept.

        Args:
            caller: Who asks.
            name: What it is for.
            role: What it allows: at most what the caller may do.
            owner: The user whom it acts as: the caller, or for an admin anybody.
            expires: When it stops being valid; never if there is no such moment.

        Raises:
            ForbiddenError: The caller is only a viewer, has a lower role, or is not that user.
        """
        caller.expect(Role.DEVELOPER)
        owner = owner or caller.name
        caller.expect(role)
        caller.expect_owner("that name", owner)
        return await self._kept.create(name, Identity(owner, role, Via.TOKEN), expires, caller.name)

    async def remove(self, caller: Identity, id_: str) -> None:
        """Make a token invalid.

        Raises:
            NoTokenError: There is no such token.
            ForbiddenError: It is somebody else's, or the caller is only a viewer.
        """
        caller.expect(Role.DEVELOPER)
        found = self._kept.rows.get(id_)
        if found is None:
            raise NoTokenError(f"there is no token {id_}")
        caller.expect_owner(f"token {id_}", found.owner)
        await self._kept.remove(id_, caller.name)

    @property
    def _kept(self) -> TokenBook:
        return expect_database(self._tokens)


class OverrideTokenOperations:
    """The operations on override tokens.

    Args:
        keyring: Their keys; None if there is no database, so that every operation raises `NoDatabaseError`.
    """

    def __init__(self, keyring: KeyRing | None) -> None:
        self._keyring = keyring

    def issue(self, caller: Identity, life: timedelta) -> OverrideToken:
        """Issue a token: requests from outside that bring it may carry overrides until it expires.

        Raises:
            ForbiddenError: The caller is only a viewer.
            ValueError: No token may be valid for so long.
        """
        caller.expect(Role.DEVELOPER)
        return expect_database(self._keyring).signer.token(caller.name, life)
