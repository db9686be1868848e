"""The token that a client sends with every request."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from threading import Lock
from typing import Final

import httpx

from detour.client import credentials
from detour.client.signing_in import refreshed

TokenSource = Callable[[], str | None]
"""Returns the current token, or None to send none. May block."""

USER_HEADER: Final = "x-detour-user"


class Bearer(httpx.Auth):
    """Sends a token as `Authorization: Bearer` (RFC 6750, section 2.1).

    Args:
        source: Called before each request.
    """

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the token to a request."""
        yield _with_token(request, self._source())

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Add the token to a request, without blocking the event loop while a token is refreshed."""
        yield _with_token(request, await asyncio.to_thread(self._source))


def _with_token(request: httpx.Request, token: str | None) -> httpx.Request:
    if token:
        request.headers["authorization"] = f"Bearer {token}"
    return request


def kept_token(server: str) -> TokenSource:
    """Return the source of a server's tokens: DETOUR_TOKEN, or the stored token from `detour login`.

    A token that is about to expire is refreshed first, and the new one is stored.
    """
    lock = Lock()

    def current() -> str | None:
        # Issuers accept a refresh token only once: two threads must not send the same one.
        with lock:
            found = credentials.of(server)
            return refreshed(server, found).token if found else None

    return current


def auth_of(token: str | TokenSource | None) -> httpx.Auth | None:
    """Return the httpx authentication for a token or a source of tokens; None without a token."""
    if token is None:
        return None
    return Bearer(token if callable(token) else lambda: token)
