"""What a token of an OpenID Connect issuer says of somebody (OpenID Connect Core, section 5.1).

Invariant: callers without a role are refused, with the name of the claim that was read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Final

from detour.access.identity import NAME_MAX, ForbiddenError, Identity, Role, Via
from detour.mesh import is_line

ANYBODY: Final = "*"
"""Stands for every caller with a valid token."""

_OWN_NAMES: Final[Mapping[Role, frozenset[str]]] = MappingProxyType(
    {role: frozenset({role.value}) for role in Role}
)


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """Which issuer is trusted, and how its claims are read.

    Args:
        url: The issuer, exactly as its tokens name it.
        client_id: For whom its tokens must be (`aud`).
        role_claim: Where somebody's roles or groups stand; dots lead inwards, as in `realm_access.roles`.
        name_claim: What somebody is called; without it, an e-mail address unless it is said to be unverified,
            else `sub`.
        roles: The values of the role claim that give each role.
        scopes: What is asked for when somebody signs in.
    """

    url: str
    client_id: str
    role_claim: str = "roles"
    name_claim: str = ""
    roles: Mapping[Role, frozenset[str]] = field(default_factory=lambda: _OWN_NAMES)
    scopes: str = "openid profile email"

    def identity(self, claims: Mapping[str, Any]) -> Identity:
        """Return who a token's subject is.

        Raises:
            ForbiddenError: The claims give no role.
        """
        name = self._name(claims)
        held = _texts(_inside(claims, self.role_claim)) | {ANYBODY}
        roles = [role for role in reversed(Role) if held & self.roles.get(role, frozenset())]
        if not roles:
            wanted = ", ".join(sorted(set().union(*self.roles.values())))
            raise ForbiddenError(
                f"{name} is signed in, and has no role here: in the token, {self.role_claim} has none of {wanted}"
            )
        return Identity(name, roles[0], Via.OIDC)

    def _name(self, claims: Mapping[str, Any]) -> str:
        # Some issuers write the boolean as text.
        email = claims.get("email") if str(claims.get("email_verified", True)).lower() == "true" else None
        named = (_inside(claims, self.name_claim),) if self.name_claim else (email,)
        for name in (*named, claims.get("sub")):
            # A name with white space around it could be taken for that of another user.
            if isinstance(name, str) and name and name == name.strip() and is_line(name):
                return _shortened(name)
        raise ForbiddenError("the token names no user: its sub is missing, empty, or no text in one line")


def _shortened(name: str) -> str:
    """Return a name that fits: users whose long names begin alike stay different users."""
    if len(name) <= NAME_MAX:
        return name
    digest = blake2b(name.encode(), digest_size=8).hexdigest()
    return f"{name[: NAME_MAX - len(digest) - 1]}-{digest}"


def _inside(claims: Mapping[str, Any], path: str) -> Any:
    if path in claims:  # a claim's own name may have dots: https://example.com/roles
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _texts(value: Any) -> frozenset[str]:
    if isinstance(value, str):
        return frozenset(value.split())
    return frozenset(one for one in value if isinstance(one, str)) if isinstance(value, list) else frozenset()
