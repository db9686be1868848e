"""Pagination: the cursor that a client sends, and the cursor of the next page in the response."""

from collections.abc import Callable, Sequence
from typing import Annotated, Final, TypeVar

from fastapi import Query
from pydantic import AfterValidator, WithJsonSchema

from detour.contract import patterns

PAGE: Final = 100
PAGE_MAX: Final = 1000

_NUMBER_MAX: Final = 2**31 - 1

Item = TypeVar("Item")

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="maximum number of items")]
AnyLimit = Annotated[int | None, Query(ge=1, le=PAGE_MAX, description="maximum number of items; by default all")]
"""For lists that are short enough to be sent as one page."""
_CURSOR: Final = "the `next` of the previous page; by default the list begins at its first item"

Name = Annotated[str | None, Query(alias="cursor", pattern=patterns.SCENARIO, description=_CURSOR)]
"""The cursor of a list of scenarios; None for the first page."""

Place = Annotated[str | None, Query(alias="cursor", max_length=200, description=_CURSOR)]
"""The cursor of a list that is ordered by other names."""


def _number(text: str) -> str:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:11]) <= _NUMBER_MAX):
        raise ValueError("expected the `next` of the previous page")
    return text


Number = Annotated[
    Annotated[str, AfterValidator(_number), WithJsonSchema({"type": "string", "pattern": patterns.NUMBER})] | None,
    Query(alias="cursor", description=_CURSOR),
]
"""The cursor of a list that is ordered by number, descending."""


def before(cursor: str | None) -> int | None:
    """Return the number below which the page begins; None for the first page."""
    return int(cursor) if cursor else None


def page_of_all(
    every: Sequence[Item], cursor: str | None, limit: int | None, place: Callable[[Item], str]
) -> tuple[Sequence[Item], str | None]:
    """Return a page of a list in memory, which is ordered by `place`, and the cursor of the next page."""
    found = [one for one in every if place(one) > (cursor or "")]
    return page(found, limit, place) if limit else (found, None)


def page(
    found: Sequence[Item], limit: int, place: Callable[[Item], str | int]
) -> tuple[Sequence[Item], str | None]:
    """Return the items of a page, and the cursor of the next page if there is one.

    Args:
        found: The items; one more than `limit` if the list continues.
        limit: Maximum number of items on the page.
        place: Returns the cursor of an item; the next page begins after it.
    """
    return found[:limit], str(place(found[limit - 1])) if len(found) > limit else None
