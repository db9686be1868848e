"""Lists: one page of items, and the cursor of the next page."""

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, Field

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next: Annotated[
        str | None, Field(description="send it as `cursor` to get the next page; null on the last page")
    ] = None
