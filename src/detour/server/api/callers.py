"""Authentication of the API's callers, and the role that each request needs.

Invariant: every operation requires authentication unless `OPEN` lists its path. Reading needs the role viewer,
everything else the role developer. Operations that need an owner or an admin check that themselves.
"""

import getpass
from functools import cache
from typing import Annotated, Final

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from detour.access import Identity, Requester, Role
from detour.access.identity import NAME_MAX
from detour.mesh import is_line
from detour.server.identities import Identities
from detour.server.web import PAGE, PAGE_FILE

USER_HEADER: Final = "x-detour-user"

DOCS: Final = "/docs"
OPEN: Final = frozenset({"/healthz", "/readyz", "/metrics", "/v1/sign-in", DOCS, PAGE, PAGE_FILE})
"""Paths that need no authentication."""

_READING: Final = frozenset({"GET", "HEAD"})
_FORWARDING: Final = frozenset(
    {
        "forwarded",
        "via",
        "cf-connecting-ip",
        "true-client-ip",
        "x-client-ip",
        "x-envoy-external-address",
        "x-real-ip",
    }
)
"""Headers that proxies add (RFC 7239; RFC 9110, section 7.6.3), beside those that begin with `x-forwarded`."""
_BEARER: Final = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="an API token or a token of the issuer; without an issuer, local callers need none",
)

_User = Annotated[
    str | None,
    Header(
        alias=USER_HEADER,
        description="the caller's name, for local callers of a server without an issuer",
    ),
]


async def identify(
    request: Request,
    user: _User = None,
    _described: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)] = None,
) -> Identity | None:
    """Authenticate the caller, and check the role; return None for open operations.

    Raises:
        UnknownCallerError: The caller is not authenticated.
        ForbiddenError: The caller's role does not allow the request.
        IssuerError: The issuer's keys cannot be fetched.
    """
    if request.scope["route"].path in OPEN:
        return None
    identities: Identities = request.app.state.identities
    found = await identities.identify(requester_of(request, user))
    found.expect(Role.VIEWER if request.method in _READING else Role.DEVELOPER)
    return found


def requester_of(request: Request, user: str | None = None) -> Requester:
    """Return what a request says about its sender."""
    headers = request.headers
    return Requester(
        peer=request.client.host if request.client else "",
        host=headers.get("host", ""),
        origin=headers.get("origin", ""),
        is_forwarded=any(name in _FORWARDING or name.startswith("x-forwarded") for name in headers),
        authorization=headers.get("authorization", ""),
        user=_name(user),
    )


def _name(user: str | None) -> str:
    text = (user or "").strip()
    return text[:NAME_MAX] if text and is_line(text) else _own_user()


@cache
def _own_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


Caller = Annotated[Identity, Depends(identify)]
"""The caller, for owners and for the log."""
