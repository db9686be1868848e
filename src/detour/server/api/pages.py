"""Lists a page at a time: a cursor in the query, and the way to the next page in a `Link` header (RFC 8288)."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, TypeVar

from fastapi import Query, Request, Response

from detour.server.api import patterns

PAGE: Final = 100
PAGE_MAX: Final = 1000

Item = TypeVar("Item")

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="how many at most")]
AnyLimit = Annotated[int | None, Query(ge=1, le=PAGE_MAX, description="how many at most; by default all")]
"""For lists that were once given whole, and still are to those who do not ask for less."""
_CURSOR: Final = "where the page begins, as the `Link` header of the last one says"

Name = Annotated[str | None, Query(alias="cursor", pattern=patterns.SCENARIO, description=_CURSOR)]
"""The place where a page begins, in a list by name; None at the beginning."""

Place = Annotated[str | None, Query(alias="cursor", max_length=200, description=_CURSOR)]
"""The same, in a list by other names than scenarios have."""

Number = Annotated[int | None, Query(alias="cursor", ge=1, le=2**31 - 1, description=_CURSOR)]
"""The same, in a list by number."""

LINK: Final[dict[str, Any]] = {
    "headers": {
        "Link": {
            "schema": {"type": "string"},
            "description": 'the next page, as `<...>; rel="next"`, if there is one',
        }
    }
}
"""What a list's answer says beside its body, for FastAPI's `responses`."""


def page_of_all(
    request: Request,
    response: Response,
    every: Sequence[Item],
    limit: int | None,
    place: Callable[[Item], str],
) -> Sequence[Item]:
    """Return the page that a request asks for of a list that is there whole, in the order of its places."""
    after = request.query_params.get("cursor", "")
    found = [one for one in every if place(one) > after]
    return page(request, response, found, limit, place) if limit else found


def page(
    request: Request, response: Response, found: Sequence[Item], limit: int, place: Callable[[Item], str | int]
) -> Sequence[Item]:
    """Return as many as were asked for, and let the response lead to the next page.

    Args:
        request: What asked.
        response: What will answer.
        found: One more than was asked for, if there are more.
        limit: How many were asked for.
        place: Gives the place of a list's item, behind which the next page begins.
    """
    if len(found) > limit:
        following = request.url.include_query_params(cursor=place(found[limit - 1]))
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    return found[:limit]
