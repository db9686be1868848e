"""Who one is, how one signs in, and API tokens."""

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import FastAPI, Path, Request, Response
from pydantic import BaseModel, Field

from detour.access import ApiToken, Identity, Role, Via
from detour.mesh import parse_duration
from detour.server.api.bodies import Label, Owner, Ttl
from detour.server.api.callers import Caller, asker_of
from detour.server.api.problems import NO_DATABASE, documented, expect_kept
from detour.server.identities import Identities

_MAKING: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY, NO_DATABASE)

_TokenId = Annotated[str, Path(pattern="^[0-9a-f]{12}$", description="the token's id, which is no secret")]


class IdentityOut(BaseModel):
    """Who asks."""

    name: str
    role: Role
    via: Via


class SignInOut(BaseModel):
    """How one signs in."""

    is_needed: Annotated[bool, Field(description="whether who asks needs a token")]
    issuer: Annotated[str | None, Field(description="of OpenID Connect; none if there are only API tokens")] = None
    client_id: str | None = None
    scopes: str | None = None
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    device_authorization_endpoint: str | None = None


class TokenIn(BaseModel, extra="forbid"):
    """An API token to be made."""

    name: Annotated[Label, Field(description="what it is for")]
    role: Annotated[Role, Field(description="what it allows: at most what its owner may do")] = Role.DEVELOPER
    owner: Annotated[Owner | None, Field(description="as whom it acts: oneself, or for an admin anybody")] = None
    ttl: Annotated[Ttl | None, Field(description="how long it counts: 90d; for ever by default")] = None


class TokenOut(BaseModel):
    """What can be told of an API token."""

    id: str
    name: str
    owner: str
    role: Role
    created: datetime
    expires: datetime | None


class NewTokenOut(TokenOut):
    """An API token that has just been made."""

    token: Annotated[str, Field(description="send it as `Authorization: Bearer`; it is told only here")]


def add_identities(app: FastAPI, identities: Identities) -> None:
    """Add them to an API."""
    _add_signing_in(app, identities)
    _add_tokens(app, identities)


def _add_signing_in(app: FastAPI, identities: Identities) -> None:
    @app.get("/v1/me")
    async def me(caller: Caller) -> IdentityOut:
        """Say who asks, and what they may do."""
        return IdentityOut(name=caller.name, role=caller.role, via=caller.via)

    @app.get("/v1/sign-in", responses=documented(HTTPStatus.SERVICE_UNAVAILABLE))
    async def sign_in(request: Request) -> SignInOut:
        """Say how one signs in (OAuth 2.0 for clients without a secret: RFC 7636, RFC 8628)."""
        is_needed = not identities.is_open_to(asker_of(request))
        if identities.issuer is None:
            return SignInOut(is_needed=is_needed)
        settings, endpoints = identities.issuer.settings, await identities.issuer.endpoints()
        return SignInOut(
            is_needed=is_needed,
            issuer=settings.url,
            client_id=settings.client_id,
            scopes=settings.scopes,
            authorization_endpoint=endpoints.authorization,
            token_endpoint=endpoints.token,
            device_authorization_endpoint=endpoints.device_authorization,
        )


def _add_tokens(app: FastAPI, identities: Identities) -> None:
    @app.get("/v1/tokens", responses=documented(NO_DATABASE))
    async def tokens(caller: Caller) -> Sequence[TokenOut]:
        """List one's own API tokens; for an admin, everybody's."""
        return [
            _out(one) for one in expect_kept(identities.tokens).tokens.values() if caller.may_act_for(one.owner)
        ]

    @app.post("/v1/tokens", status_code=HTTPStatus.CREATED, responses=documented(*_MAKING))
    async def create(body: TokenIn, caller: Caller) -> NewTokenOut:
        """Make an API token, which acts as its owner."""
        owner = body.owner or caller.name
        caller.expect(body.role)
        caller.expect_owner("that name", owner)
        expires = datetime.now(UTC) + parse_duration(body.ttl) if body.ttl else None
        made, token = await expect_kept(identities.tokens).create(
            body.name, Identity(owner, body.role, Via.TOKEN), expires, caller.name
        )
        return NewTokenOut(**_out(made).model_dump(), token=token)

    @app.delete(
        "/v1/tokens/{id}",
        status_code=HTTPStatus.NO_CONTENT,
        response_class=Response,
        responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, NO_DATABASE),
    )
    async def remove(id: _TokenId, caller: Caller) -> Response:  # noqa: A002  the path's name
        """Let an API token be none any more."""
        await expect_kept(identities.tokens).remove(id, caller)
        return Response(status_code=HTTPStatus.NO_CONTENT)


def _out(token: ApiToken) -> TokenOut:
    return TokenOut.model_validate(token, from_attributes=True)
