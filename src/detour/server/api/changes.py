"""The log of changes, and the stream of live events."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request
from fastapi.responses import StreamingResponse

from detour.access import ForbiddenError, UnknownCallerError
from detour.access.issuer import IssuerError
from detour.contract import ChangeListOut, ChangeOut
from detour.server.api.callers import identify
from detour.server.api.operations import Tag
from detour.server.api.pages import PAGE, Limit, Number, before, page
from detour.server.api.problems import NO_DATABASE, documented
from detour.server.control_plane import ControlPlane
from detour.server.events import Events, LiveEvent
from detour.server.followed_database import expect_database

_PAUSE_SECONDS: Final = 15.0
"""Interval of comments on a silent stream, so that proxies do not close it as idle."""

# As a header, because Starlette adds a charset to a media type; this one has none (HTML, section 9.2.1).
_HEADERS: Final = {"content-type": "text/event-stream", "cache-control": "no-store"}

_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "`event:` is the kind of thing that changed, `data:` a JSON object with its `subject`",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}

Seconds = Annotated[
    int | None, Query(ge=0, le=86_400, description="end the stream after this time; by default it never ends")
]
Kinds = Annotated[list[str] | None, Query(alias="kind", description="only these kinds of events", max_length=10)]


def add_changes(app: FastAPI, plane: ControlPlane) -> None:
    """Add the operations to an API."""

    @app.get(
        "/v1/changes",
        tags=[Tag.CHANGES],
        responses=documented(NO_DATABASE, HTTPStatus.UNPROCESSABLE_ENTITY),
    )
    async def list_changes(cursor: Number = None, limit: Limit = PAGE) -> ChangeListOut:
        """List who changed what, newest first."""
        found = await expect_database(plane.book).database.changes(before(cursor), limit + 1)
        shown, following = page(found, limit, lambda one: one.revision)
        items = [ChangeOut.model_validate(one, from_attributes=True) for one in shown]
        return ChangeListOut(items=items, next=following)

    @app.get(
        "/v1/events",
        tags=[Tag.CHANGES],
        response_class=StreamingResponse,
        responses={**_STREAM, **documented(HTTPStatus.UNPROCESSABLE_ENTITY)},
    )
    async def stream_events(request: Request, kind: Kinds = None, seconds: Seconds = None) -> StreamingResponse:
        """Stream an event for every change (HTML, section 9.2, "Server-sent events").

        Kinds are `scenario`, `deployment`, `token`, `key`, `overrides`, `mesh`, `envoys` and, at most once a
        second, `calls`. An event names the thing that changed and does not contain it: fetch it again. After a
        reconnection, fetch everything again. The stream ends when its token is no longer valid.
        """
        stream = _stream(plane.events, frozenset(kind) if kind else None, seconds, partial(_is_authorized, request))
        return StreamingResponse(stream, headers=_HEADERS)


async def _is_authorized(request: Request) -> bool:
    """Return whether the stream's caller is still authorized; streams survive an issuer that does not answer."""
    with suppress(IssuerError):
        try:
            await identify(request)
        except (UnknownCallerError, ForbiddenError):
            return False
    return True


async def _stream(
    events: Events, kinds: frozenset[str] | None, seconds: int | None, is_authorized: Callable[[], Awaitable[bool]]
) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds if seconds is not None else math.inf
    checked = loop.time()
    with events.subscribed() as subscription:
        yield ": connected\n\n"
        while (left := end - loop.time()) > 0 and not events.closed.is_set():
            found = await subscription.next(min(_PAUSE_SECONDS, left))
            if loop.time() - checked >= _PAUSE_SECONDS:
                if not await is_authorized():
                    return
                checked = loop.time()
            yield "".join(_encoded(one) for one in found if kinds is None or one.kind in kinds) or ":\n\n"


def _encoded(event: LiveEvent) -> str:
    return f"event: {event.kind}\ndata: {json.dumps({'subject': event.subject})}\n\n"
