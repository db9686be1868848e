"""The settings of a connection to a server, for both clients."""

from dataclasses import dataclass
from typing import Any, Final

import httpx

from detour.client.authorization import USER_HEADER, TokenSource, auth_of
from detour.client.server_address import DEFAULT_SERVER

TIMEOUT_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """How to connect to a server.

    Args:
        server: Its URL.
        token: The token to send as `Authorization: Bearer`, or a function that returns it.
        user: The caller's name, for a server on the same machine without sign-in.
        timeout_seconds: How long to wait for a connection, and for each part of an answer.

    Raises:
        ValueError: `server` is not a URL.
    """

    server: str
    token: str | TokenSource | None
    user: str
    timeout_seconds: float

    def __post_init__(self) -> None:
        try:
            url = httpx.URL(self.server)
        except httpx.InvalidURL:
            url = httpx.URL()
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError(f"{self.server!r} is not a URL such as {DEFAULT_SERVER}")

    def arguments(self) -> dict[str, Any]:
        """Return the arguments for httpx's clients."""
        return {
            "base_url": self.server,
            "headers": {USER_HEADER: self.user} if self.user else {},
            "timeout": self.timeout_seconds,
            "auth": auth_of(self.token),
            # `http_proxy` names a sidecar, which is for the requests of applications in the mesh.
            "trust_env": False,
        }
