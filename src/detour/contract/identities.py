"""Callers: their identities, sign-in, and tokens."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, Field

from detour.contract import patterns
from detour.contract.fields import Label, Owner, Ttl
from detour.contract.pages import Page
from detour.mesh import parse_duration
from detour.mesh.override_tokens import HEADER, LIFE_MAX

_SECONDS_AND_MORE: Final = re.compile(r"[0-9]+[smhd]", re.ASCII)


class Role(StrEnum):
    """A caller's permissions: viewers read, developers also change what they own, admins change everything."""

    VIEWER = "viewer"
    DEVELOPER = "developer"
    ADMIN = "admin"


class SignInMethod(StrEnum):
    """How a caller was authenticated: as a local process, by an API token, or by a token of the issuer."""

    LOCAL = "local"
    TOKEN = "token"  # noqa: S105  a kind, not a secret
    OIDC = "oidc"


class IdentityOut(BaseModel):
    """The caller."""

    name: str
    role: Role
    via: SignInMethod


class SignInOut(BaseModel):
    """How to sign in."""

    is_needed: Annotated[bool, Field(description="whether the caller needs a token")]
    issuer: Annotated[
        str | None, Field(description="the OpenID Connect issuer; null if the server accepts only API tokens")
    ] = None
    client_id: str | None = None
    scopes: str | None = None
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    device_authorization_endpoint: str | None = None


class TokenIn(BaseModel, extra="forbid"):
    """An API token to create."""

    name: Annotated[Label, Field(description="its purpose")]
    role: Annotated[Role, Field(description="its permissions: at most those of the caller")] = Role.DEVELOPER
    owner: Annotated[
        Owner | None, Field(description="the user this token acts as: the caller, or for admins any user")
    ] = None
    ttl: Annotated[Ttl | None, Field(description="time until it expires: 90d; by default it never expires")] = None


class TokenOut(BaseModel):
    """An API token, without its secret."""

    id: str
    name: str
    owner: str
    role: Role
    created: datetime
    expires: datetime | None


class TokenListOut(Page[TokenOut]):
    """API tokens."""


class NewTokenOut(TokenOut):
    """An API token that was just created, with its secret."""

    token: Annotated[str, Field(description="send it as `Authorization: Bearer`; it is shown only once")]


def _life(text: str) -> str:
    if not _SECONDS_AND_MORE.fullmatch(text) or parse_duration(text) > LIFE_MAX:
        raise ValueError("expected whole seconds, minutes or an hour, from 1s to 1h: 90s, 15m, 1h")
    return text


class OverrideTokenIn(BaseModel, extra="forbid"):
    """A token to issue, with which an edge accepts overrides from outside."""

    ttl: Annotated[
        str,
        AfterValidator(_life),
        Field(
            description="time until it expires, at most 1h: 90s, 15m, 1h",
            json_schema_extra={"pattern": patterns.TOKEN_TTL},
        ),
    ] = "15m"


class OverrideTokenOut(BaseModel):
    """A token, and the name of the request header that carries it; the overrides are in the baggage."""

    token: str
    header: str = HEADER
    expires: datetime
