"""An OpenID Connect issuer: its endpoints (OpenID Connect Discovery 1.0) and its keys, fetched when needed.

Invariant: a token counts only if a key that the issuer publishes has signed it, for this server, and it has not
expired (RFC 9068, section 4; OpenID Connect Core, section 3.1.3.7). Only signatures by public keys are accepted.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx
import jwt

from detour.access.asker import Asker
from detour.access.claims import IssuerSettings
from detour.access.identity import Identity, UnknownCallerError

_ALGORITHMS: Final = (
    *(f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)),
    "EdDSA",
)
_LEEWAY_SECONDS: Final = 30
"""How far clocks may be apart."""
_TIMEOUT_SECONDS: Final = 5
_AGAIN_SECONDS: Final = 10
"""A key that is not known makes the server ask for the issuer's keys so often at most, whoever sends what."""
_KEPT_SECONDS: Final = 3600
"""After so long keys are asked for anew, so that one that the issuer has withdrawn stops counting."""


class IssuerError(Exception):
    """The issuer does not answer, or not as one; the message names it."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where an issuer is asked for what (OpenID Connect Discovery 1.0, section 3; RFC 8628, section 4)."""

    authorization: str
    token: str
    keys: str
    device_authorization: str | None = None


class Issuer:
    """A trusted issuer.

    Args:
        settings: Which one.

    Raises:
        ValueError: Its URL is not `https`, nor on this machine.
    """

    def __init__(self, settings: IssuerSettings) -> None:
        parsed = urlsplit(settings.url)
        on_this_machine = Asker("127.0.0.1", parsed.netloc).is_local
        if not parsed.hostname or not (parsed.scheme == "https" or (parsed.scheme == "http" and on_this_machine)):
            raise ValueError(f"the issuer {settings.url!r} is no URL such as https://accounts.example.com")
        self.settings: Final = settings
        self._client = httpx.AsyncClient(timeout=_TIMEOUT_SECONDS)
        self._asking = asyncio.Lock()
        self._endpoints: Endpoints | None = None
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._asked = float("-inf")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def identity(self, token: str) -> Identity:
        """Return who brings a token.

        Raises:
            UnknownCallerError: It does not count; the message says why.
            ForbiddenError: It does, and gives no role.
            IssuerError: The issuer's keys can't be had.
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
            raise UnknownCallerError(f"the token does not count: {error}; sign in again: detour login") from error
        return self.settings.identity(claims)

    async def endpoints(self) -> Endpoints:
        """Return where it is asked for what.

        Raises:
            IssuerError: It does not say.
        """
        if self._endpoints is None:
            said = await self._get(f"{self.settings.url.rstrip('/')}/.well-known/openid-configuration")
            try:
                if said["issuer"] != self.settings.url:
                    raise IssuerError(
                        f"the issuer {self.settings.url} calls itself {said['issuer']}: configure that"
                    )
                self._endpoints = Endpoints(
                    said["authorization_endpoint"],
                    said["token_endpoint"],
                    said["jwks_uri"],
                    said.get("device_authorization_endpoint"),
                )
            except KeyError as error:
                raise IssuerError(f"the issuer {self.settings.url} does not tell its {error.args[0]}") from error
        return self._endpoints

    async def _key(self, id_: str | None) -> jwt.PyJWK:
        """Return the key of an id; that of a token without one is the only one."""
        async with self._asking:
            since = time.monotonic() - self._asked
            if since > _KEPT_SECONDS or (self._found(id_) is None and since > _AGAIN_SECONDS):
                endpoints = await self.endpoints()
                self._keys = _usable(await self._get(endpoints.keys))
                self._asked = time.monotonic()
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
            raise IssuerError(f"the issuer {self.settings.url} does not answer as one: {url}: {error}") from error


def _usable(said: Any) -> Mapping[str, jwt.PyJWK]:
    """Return the keys of a set by id (RFC 7517, section 5): those of a kind that is not known here are left out."""
    try:
        return {key.key_id or "": key for key in jwt.PyJWKSet.from_dict(said).keys}
    except (jwt.PyJWTError, AttributeError, TypeError) as error:
        raise IssuerError(f"the issuer's keys cannot be read: {error}") from error
