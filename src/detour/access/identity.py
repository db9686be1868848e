"""Who somebody is, and what a role allows.

Invariant: a role includes all that the ones before it may do. Callers without a role are refused.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

NAME_MAX: Final = 100


class UnknownCallerError(Exception):
    """The caller is unknown; the message says how to authenticate."""


class ForbiddenError(Exception):
    """The caller is known and may not do this; the message says who may."""


class Role(StrEnum):
    """What somebody may do.

    A viewer reads. A developer makes and changes things, and removes their own. An admin does so with everybody's.
    """

    VIEWER = "viewer"
    DEVELOPER = "developer"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Say whether who has this role may do what that one allows."""
        return _ORDER.index(self) >= _ORDER.index(other)


_ORDER: Final = tuple(Role)


class Via(StrEnum):
    """How it is known who somebody is."""

    LOCAL = "local"
    TOKEN = "token"  # noqa: S105  a kind, not a secret
    OIDC = "oidc"


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who is known.

    Args:
        name: What their things have as their owner, and the log as who did it.
        role: What they may do.
        via: How that is known.
    """

    name: str
    role: Role
    via: Via

    def expect(self, role: Role) -> None:
        """Check that they have a role, or a higher one.

        Raises:
            ForbiddenError: They have a lower one.
        """
        if not self.role.includes(role):
            raise ForbiddenError(
                f"{self.name} is a {self.role}, and this takes a {role}: ask an admin for the role"
            )

    def may_act_for(self, owner: str) -> bool:
        """Say whether they may do what only an owner may; things without an owner are open to all."""
        return self.role is Role.ADMIN or owner in {"", self.name}

    def speaking_for(self, owner: str | None) -> str | None:
        """Return as whom they act: an admin as they say (None is as nobody in particular), others as themselves."""
        return owner if self.role is Role.ADMIN else self.name

    def expect_owner(self, what: str, owner: str) -> None:
        """Check that they may do what only an owner may.

        Args:
            what: What it is done to, for the message.
            owner: Whose that is.

        Raises:
            ForbiddenError: It is somebody else's, and they are no admin.
        """
        if not self.may_act_for(owner):
            raise ForbiddenError(f"{what} belongs to {owner}: only {owner} or an admin may do that")
