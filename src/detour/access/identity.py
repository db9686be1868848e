"""Identities and roles.

Invariant: each role includes the permissions of the roles before it. Callers without a role are refused.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

NAME_MAX: Final = 100


class UnknownCallerError(Exception):
    """The caller is not authenticated; the message says how to authenticate."""


class ForbiddenError(Exception):
    """The caller is authenticated but lacks the permission; the message says who has it."""


class Role(StrEnum):
    """A set of permissions.

    Viewers read. Developers also create and change things, and remove their own. Admins also change and remove
    those of other users.
    """

    VIEWER = "viewer"
    DEVELOPER = "developer"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Return whether this role has all permissions of another."""
        return _ORDER.index(self) >= _ORDER.index(other)


_ORDER: Final = tuple(Role)


class Via(StrEnum):
    """How a caller was authenticated."""

    LOCAL = "local"
    TOKEN = "token"  # noqa: S105  a kind, not a secret
    OIDC = "oidc"


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated caller.

    Args:
        name: The user's name, as owners and the log of changes have it.
        role: The user's permissions.
        via: How the caller was authenticated.
    """

    name: str
    role: Role
    via: Via

    def expect(self, role: Role) -> None:
        """Check that the caller has a role, or a higher one.

        Raises:
            ForbiddenError: The caller has a lower role.
        """
        if not self.role.includes(role):
            raise ForbiddenError(
                f"this needs the role {role}, and {self.name} has the role {self.role}: ask an admin for the role"
            )

    def may_act_for(self, owner: str) -> bool:
        """Return whether the caller has the rights of an owner; things without an owner are open to all users."""
        return self.role is Role.ADMIN or owner in {"", self.name}

    def acting_as(self, owner: str | None) -> str | None:
        """Return the user as which the caller acts.

        Args:
            owner: The user that an admin chose; None to act as an admin, for all owners. Ignored for other callers,
                who act as themselves.
        """
        return owner if self.role is Role.ADMIN else self.name

    def expect_owner(self, what: str, owner: str) -> None:
        """Check that the caller has the rights of an owner.

        Args:
            what: The thing that is owned, for the message.
            owner: Its owner.

        Raises:
            ForbiddenError: Another user owns it, and the caller is not an admin.
        """
        if not self.may_act_for(owner):
            raise ForbiddenError(f"{what} belongs to {owner}: only {owner} or an admin may do that")
