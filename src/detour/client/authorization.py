"""The token that a client sends with every request."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from threading import Lock
from typing import Final

import httpx

from detour.client import credentials
from detour.client.signing_in import refreshed

TokenSource = Callable[[], str | None]
"""Returns the token to send now; None for none. May block."""

USER_HEADER: Final = "x-detour-user"


class Bearer(httpx.Auth):
    """Sends a token as `Authorization: Bearer` (RFC 6750, section 2.1).

    Args:
        source: Where it comes from, asked before each request.
    """

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request."""
        yield _signed(request, self._source())

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Sign a request, without blocking others while a token is refreshed."""
        yield _signed(request, await asyncio.to_thread(self._source))


def _signed(request: httpx.Request, token: str | None) -> httpx.Request:
    if token:
        request.headers["authorization"] = f"Bearer {token}"
    return request


def kept_token(server: str) -> TokenSource:
    """Return the source of what `detour login` keeps for a server, or DETOUR_TOKEN says.

    A token that is about to expire is exchanged for another one first, and that one is kept.
    """
    lock = Lock()

    def current() -> str | None:
        # Issuers take a refresh token once: two threads must not send the same one.
        with lock:
            found = credentials.of(server)
            return refreshed(server, found).token if found else None

    return current


def auth_of(token: str | TokenSource | None) -> httpx.Auth | None:
    """Return what signs requests with a token, or with those of a source."""
    if token is None:
        return None
    return Bearer(token if callable(token) else lambda: token)
