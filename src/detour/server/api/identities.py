"""The caller's identity, signing in, and API tokens."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import FastAPI, Path, Request, Response

from detour import access
from detour.access import ApiToken
from detour.contract import (
    IdentityOut,
    NewTokenOut,
    Role,
    SignInMethod,
    SignInOut,
    TokenIn,
    TokenListOut,
    TokenOut,
)
from detour.mesh import parse_duration
from detour.server.api.callers import Caller, requester_of
from detour.server.api.operations import Tag
from detour.server.api.problems import NO_DATABASE, documented
from detour.server.identities import Identities
from detour.server.tokens import TokenOperations

_MAKING: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY, NO_DATABASE)

_TokenId = Annotated[str, Path(pattern="^[0-9a-f]{12}$", description="the token's id, which is not secret")]


def add_identities(app: FastAPI, identities: Identities) -> None:
    """Add the operations to an API."""
    _add_signing_in(app, identities)
    _add_tokens(app, identities)


def _add_signing_in(app: FastAPI, identities: Identities) -> None:
    @app.get("/v1/me", tags=[Tag.IDENTITIES])
    async def get_identity(caller: Caller) -> IdentityOut:
        """Return the caller's name and role."""
        return IdentityOut(name=caller.name, role=Role(caller.role), via=SignInMethod(caller.via))

    @app.get("/v1/sign-in", tags=[Tag.IDENTITIES], responses=documented(HTTPStatus.SERVICE_UNAVAILABLE))
    async def get_sign_in(request: Request) -> SignInOut:
        """Return how to sign in (OAuth 2.0 for public clients: RFC 7636, RFC 8628)."""
        is_needed = not identities.accepts_without_token(requester_of(request))
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
    operations = TokenOperations(identities.tokens)

    @app.get("/v1/tokens", tags=[Tag.IDENTITIES], responses=documented(NO_DATABASE))
    async def list_tokens(caller: Caller) -> TokenListOut:
        """List the caller's API tokens; for admins, all tokens."""
        return TokenListOut(items=[_out(one) for one in operations.list(caller)])

    @app.post("/v1/tokens", tags=[Tag.IDENTITIES], status_code=HTTPStatus.CREATED, responses=documented(*_MAKING))
    async def create_token(body: TokenIn, caller: Caller) -> NewTokenOut:
        """Create an API token that acts as its owner."""
        expires = datetime.now(UTC) + parse_duration(body.ttl) if body.ttl else None
        made, token = await operations.create(caller, body.name, access.Role(body.role), body.owner, expires)
        return NewTokenOut(**_out(made).model_dump(), token=token)

    @app.delete(
        "/v1/tokens/{id}",
        tags=[Tag.IDENTITIES],
        status_code=HTTPStatus.NO_CONTENT,
        response_class=Response,
        responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, NO_DATABASE),
    )
    async def remove_token(id: _TokenId, caller: Caller) -> Response:  # noqa: A002  the path's name
        """Remove an API token; the server refuses it from then on."""
        await operations.remove(caller, id)
        return Response(status_code=HTTPStatus.NO_CONTENT)


def _out(token: ApiToken) -> TokenOut:
    return TokenOut.model_validate(token, from_attributes=True)
