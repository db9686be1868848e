"""The API's long lists, compressed for those who accept it (RFC 9110, section 12.5.3).

Invariant: nothing that is sent bit by bit is compressed, so that no event or line of a log waits for the next one.
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
    """Compresses the answers to those paths that a page reads whole.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressing = GZipMiddleware(app, minimum_size=_LEAST_BYTES, compresslevel=_LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        is_list = scope["type"] == "http" and scope["path"] in _LISTS
        await (self._compressing if is_list else self._app)(scope, receive, send)
