"""The options for the OpenID Connect issuer that people sign in with."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from detour.access import IssuerSettings, Role


def _option(name: str, text: str, metavar: str, variable: str = "", *, shows_default: bool = False) -> Any:
    """Return an option, with an environment variable of the same meaning."""
    return typer.Option(
        f"--oidc-{name}",
        envvar="DETOUR_OIDC_" + (variable or name.upper().replace("-", "_")),
        help=text,
        metavar=metavar,
        show_default=shows_default,
    )


Issuer = Annotated[
    str,
    _option(
        "issuer",
        "The OpenID Connect issuer that people sign in with.  [default: none; requests from this machine need no "
        "sign-in]",
        "URL",
    ),
]
ClientId = Annotated[
    str, _option("client-id", "The client id of detour login and of the web page at the issuer.", "ID")
]
RoleClaim = Annotated[
    str,
    _option(
        "role-claim",
        "The claim with a person's roles or groups, such as realm_access.roles.",
        "CLAIM",
        shows_default=True,
    ),
]
NameClaim = Annotated[
    str, _option("name-claim", "The claim with a person's name.  [default: email, or else sub]", "CLAIM")
]
Roles = Annotated[
    list[str],
    _option(
        "role",
        "The claim value that gives a role: admin=platform-team, or viewer=* for all users; repeatable.  "
        "[default: the claim contains viewer, developer or admin]",
        "ROLE=VALUE",
        variable="ROLES",
    ),
]


def settings(
    issuer: str, client_id: str, role_claim: str, name_claim: str, roles: list[str]
) -> "IssuerSettings | None":
    """Return the issuer's settings; None for no issuer.

    Raises:
        ValueError: The options contradict each other.
    """
    if not issuer:
        if client_id or name_claim or roles:
            raise ValueError("--oidc-client-id, --oidc-name-claim and --oidc-role need --oidc-issuer")
        return None
    if not client_id:
        raise ValueError("--oidc-issuer needs --oidc-client-id, the client that its tokens are issued for")
    from detour.access import IssuerSettings  # noqa: PLC0415  cryptography is slow to import

    made = IssuerSettings(issuer, client_id, role_claim, name_claim)
    return replace(made, roles=_roles(roles)) if roles else made


def _roles(words: list[str]) -> "dict[Role, frozenset[str]]":
    from detour.access import Role  # noqa: PLC0415

    found: dict[Role, frozenset[str]] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in set(Role) or not value:
            raise ValueError(f"--oidc-role: expected ROLE=VALUE with a role of {', '.join(Role)}, got {word!r}")
        found[Role(name)] = found.get(Role(name), frozenset()) | {value}
    return found
