"""An OpenID Connect issuer: its endpoints (OpenID Connect Discovery 1.0) and its keys, fetched when needed.

Invariant: a token is valid only if one of the issuer's published keys signed it, its audience is this server, and
it has not expired (RFC 9068, section 4; OpenID Connect Core, section 3.1.3.7). Only signatures by public keys are
accepted.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx
import jwt

from detour.access.claims import IssuerSettings
from detour.access.identity import Identity, UnknownCallerError
from detour.access.requester import Requester
from detour.reason import reason_of

_ALGORITHMS: Final = (
    *(f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)),
    "EdDSA",
)
_LEEWAY_SECONDS: Final = 30
"""Allowed difference between clocks."""
_TIMEOUT_SECONDS: Final = 5
_REFETCH_SECONDS: Final = 10
"""Minimum time between two fetches of the keys, however many tokens name unknown keys."""
_KEPT_SECONDS: Final = 3600
"""Maximum age of the keys, so that tokens of a key that the issuer has withdrawn become invalid."""


class IssuerError(Exception):
    """The issuer does not answer, or its answer is not valid; the message names it."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoints of an issuer (OpenID Connect Discovery 1.0, section 3; RFC 8628, section 4)."""

    authorization: str
    token: str
    keys: str
    device_authorization: str | None = None


class Issuer:
    """A trusted issuer.

    Args:
        settings: The issuer, and how to read its claims.

    Raises:
        ValueError: Its URL is neither `https` nor on this machine.
    """

    def __init__(self, settings: IssuerSettings) -> None:
        parsed = urlsplit(settings.url)
        on_this_machine = Requester("127.0.0.1", parsed.netloc).is_local
        if not parsed.hostname or not (parsed.scheme == "https" or (parsed.scheme == "http" and on_this_machine)):
            raise ValueError(
                f"the issuer {settings.url!r} is not valid: expected a URL such as https://accounts.example.com"
            )
        self.settings: Final = settings
        self._client = httpx.AsyncClient(timeout=_TIMEOUT_SECONDS)
        self._fetching = asyncio.Lock()
        self._endpoints: Endpoints | None = None
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def identity(self, token: str) -> Identity:
        """Return the user of a token.

        Raises:
            UnknownCallerError: The token is invalid; the message says why.
            ForbiddenError: The token is valid, but grants no role.
            IssuerError: The issuer's keys cannot be fetched.
        """
        try:
            key = await self._key(jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                audience=self.settings.client_id,
                issuer=self.settings.url,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise UnknownCallerError(f"the token is invalid: {error}; sign in again: detour login") from error
        return self.settings.identity(claims)

    async def endpoints(self) -> Endpoints:
        """Return the issuer's endpoints.

        Raises:
            IssuerError: They cannot be fetched.
        """
        if self._endpoints is None:
            metadata = await self._get(f"{self.settings.url.rstrip('/')}/.well-known/openid-configuration")
            try:
                if metadata["issuer"] != self.settings.url:
                    raise IssuerError(
                        f"the issuer {self.settings.url} calls itself {metadata['issuer']}: configure that"
                    )
                self._endpoints = Endpoints(
                    metadata["authorization_endpoint"],
                    metadata["token_endpoint"],
                    metadata["jwks_uri"],
                    metadata.get("device_authorization_endpoint"),
                )
            except KeyError as error:
                raise IssuerError(f"the issuer {self.settings.url} does not publish its {error.args[0]}") from error
        return self._endpoints

    async def _key(self, id_: str | None) -> jwt.PyJWK:
        """Return the key of an id; a token without an id needs an issuer with one key."""
        async with self._fetching:
            since = time.monotonic() - self._fetched_at
            if since > _KEPT_SECONDS or (self._found(id_) is None and since > _REFETCH_SECONDS):
                endpoints = await self.endpoints()
                self._keys = _usable(await self._get(endpoints.keys))
                self._fetched_at = time.monotonic()
        found = self._found(id_)
        if found is None:
            raise jwt.InvalidKeyError(f"the issuer {self.settings.url} has no key {id_}")
        return found

    def _found(self, id_: str | None) -> jwt.PyJWK | None:
        if id_ is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(id_)

    async def _get(self, url: str) -> Any:
        try:
            answer = await self._client.get(url)
            answer.raise_for_status()
            return answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise IssuerError(
                f"the issuer {self.settings.url} gave no valid answer: {url}: {reason_of(error)}"
            ) from error


def _usable(key_set: Any) -> Mapping[str, jwt.PyJWK]:
    """Return the keys of a set by id (RFC 7517, section 5), without those of unknown kinds."""
    try:
        return {key.key_id or "": key for key in jwt.PyJWKSet.from_dict(key_set).keys}
    except (jwt.PyJWTError, AttributeError, TypeError) as error:
        raise IssuerError(f"the issuer's keys cannot be read: {error}") from error
