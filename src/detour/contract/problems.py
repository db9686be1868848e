"""Errors of the API: problem details (RFC 9457)."""

from typing import Final

from pydantic import BaseModel

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"


class Problem(BaseModel):
    """An error (RFC 9457, section 3.1). `type` is `about:blank`, so `title` is the reason phrase of the status."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
