"""The claims of an OpenID Connect token: the name and the role of its user (OpenID Connect Core, section 5.1).

Invariant: callers without a role are refused, and the error names the claim that was read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Final

from detour.access.identity import NAME_MAX, ForbiddenError, Identity, Role, Via
from detour.mesh import is_line

ANY_USER: Final = "*"
"""Matches every user with a valid token."""

_OWN_NAMES: Final[Mapping[Role, frozenset[str]]] = MappingProxyType(
    {role: frozenset({role.value}) for role in Role}
)


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """Which issuer is trusted, and how its claims are read.

    Args:
        url: The issuer, exactly as its tokens name it.
        client_id: The required audience of its tokens (`aud`).
        role_claim: The claim with the user's roles or groups; dots separate nested keys (`realm_access.roles`).
        name_claim: The claim with the user's name. Without it, the name is the e-mail address unless the issuer
            marks it as unverified, else `sub`.
        roles: The values of the role claim that grant each role.
        scopes: The scopes to request at sign-in.
    """

    url: str
    client_id: str
    role_claim: str = "roles"
    name_claim: str = ""
    roles: Mapping[Role, frozenset[str]] = field(default_factory=lambda: _OWN_NAMES)
    scopes: str = "openid profile email"

    def identity(self, claims: Mapping[str, Any]) -> Identity:
        """Return the user that the claims describe.

        Raises:
            ForbiddenError: The claims grant no role, or have no name.
        """
        name = self._name(claims)
        held = _texts(_claim_at(claims, self.role_claim)) | {ANY_USER}
        roles = [role for role in reversed(Role) if held & self.roles.get(role, frozenset())]
        if not roles:
            wanted = ", ".join(sorted(set().union(*self.roles.values())))
            raise ForbiddenError(
                f"{name} is signed in but has no role here: in the token, {self.role_claim} has none of {wanted}"
            )
        return Identity(name, roles[0], Via.OIDC)

    def _name(self, claims: Mapping[str, Any]) -> str:
        # Some issuers write the boolean as text.
        email = claims.get("email") if str(claims.get("email_verified", True)).lower() == "true" else None
        named = (_claim_at(claims, self.name_claim),) if self.name_claim else (email,)
        for name in (*named, claims.get("sub")):
            # A name with surrounding white space could be mistaken for that of another user.
            if isinstance(name, str) and name and name == name.strip() and is_line(name):
                return _shortened(name)
        raise ForbiddenError("the token does not name a user: its sub is missing, empty, or not one line of text")


def _shortened(name: str) -> str:
    """Return a name within `NAME_MAX`; a digest keeps long names with the same beginning distinct."""
    if len(name) <= NAME_MAX:
        return name
    digest = blake2b(name.encode(), digest_size=8).hexdigest()
    return f"{name[: NAME_MAX - len(digest) - 1]}-{digest}"


def _claim_at(claims: Mapping[str, Any], path: str) -> Any:
    if path in claims:  # the name of a claim may have dots: https://example.com/roles
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _texts(value: Any) -> frozenset[str]:
    if isinstance(value, str):
        return frozenset(value.split())
    return frozenset(one for one in value if isinstance(one, str)) if isinstance(value, list) else frozenset()
