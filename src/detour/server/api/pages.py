"""Lists a page at a time: a cursor in the query, and the way to the next page in a `Link` header (RFC 8288)."""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError

PAGE: Final = 100
PAGE_MAX: Final = 1000

Item = TypeVar("Item")

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="how many at most")]
_Cursor = Annotated[
    str | None,
    Query(max_length=200, description="where the page begins, as the `Link` header of the last one says"),
]

LINK: Final[dict[str, Any]] = {
    "headers": {
        "Link": {
            "schema": {"type": "string"},
            "description": 'the next page, as `<...>; rel="next"`, if there is one',
        }
    }
}
"""What a list's answer says beside its body, for FastAPI's `responses`."""


def _place(cursor: _Cursor = None) -> str | None:
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        mistake = {"loc": ("query", "cursor"), "type": "cursor", "msg": "take it from the Link header of a page"}
        raise RequestValidationError([mistake]) from None


def _number(place: Annotated[str | None, Depends(_place)]) -> int | None:
    if place is None:
        return None
    if not place.isascii() or not place.isdigit() or len(place) > len(str(2**31)):
        mistake = {"loc": ("query", "cursor"), "type": "cursor", "msg": "take it from the Link header of a page"}
        raise RequestValidationError([mistake])
    return int(place)


Place = Annotated[str | None, Depends(_place)]
"""The place that a cursor stands for; None at the beginning."""

Number = Annotated[int | None, Depends(_number)]
"""The same, of a list in the order of numbers."""


def page(request: Request, response: Response, found: Sequence[Item], limit: int, place: str) -> Sequence[Item]:
    """Return as many as were asked for, and let the response lead to the next page.

    Args:
        request: What asked.
        response: What will answer.
        found: One more than was asked for, if there are more.
        limit: How many were asked for.
        place: Where the next page begins, if there is one.
    """
    if len(found) > limit:
        cursor = base64.urlsafe_b64encode(place.encode()).decode()
        following = request.url.include_query_params(cursor=cursor)
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    return found[:limit]
