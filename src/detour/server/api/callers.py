"""Who calls the API."""

import getpass
from typing import Annotated, Final

from fastapi import Depends, Header

from detour.mesh import is_line

USER_HEADER: Final = "x-detour-user"

_NAME_MAX: Final = 100


def _caller(
    user: Annotated[
        str | None, Header(alias=USER_HEADER, description="who asks, where the server has one user and believes it")
    ] = None,
) -> str:
    text = (user or "").strip()
    return text[:_NAME_MAX] if text and is_line(text) else _own_user()


def _own_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "nobody"


Caller = Annotated[str, Depends(_caller)]
"""The name of who asks, for owners and for the log."""
