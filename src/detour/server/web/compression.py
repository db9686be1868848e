"""Compression of the API's long lists, for clients that accept it (RFC 9110, section 12.5.3).

Invariant: streams are not compressed, so that no event or log line waits in a buffer for the next one.
"""

from typing import Final

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_LISTS: Final = frozenset(
    {"/v1/services", "/v1/deployments", "/v1/calls", "/v1/status", "/v1/scenarios", "/v1/changes", "/openapi.json"}
)
_LEAST_BYTES: Final = 2_000
_LEVEL: Final = 4


class CompressedLists:
    """Compresses the responses of the paths that return lists.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressing = GZipMiddleware(app, minimum_size=_LEAST_BYTES, compresslevel=_LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        is_list = scope["type"] == "http" and scope["path"] in _LISTS
        await (self._compressing if is_list else self._app)(scope, receive, send)
