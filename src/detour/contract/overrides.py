"""Overrides: parsing and checking them, and the kill switch."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from detour.contract import patterns
from detour.contract.fields import Reason
from detour.overrides import KINDS, PREFIX, Kind, Override, Overrides, read_entry

OVERRIDES_MAX: Final = 64
"""Maximum number of overrides in one request or scenario."""


def overrides_field(description: str, *, most: int = OVERRIDES_MAX, **more: Any) -> Any:
    """Return the field of a body that holds overrides by key.

    Args:
        description: Its description in the API's document.
        most: Maximum number of overrides.
        more: Further arguments of `Field`, such as other examples.
    """
    settings = {"examples": [{"route.users": "pr-42"}], "json_schema_extra": patterns.OVERRIDES, **more}
    return Field(description=description, max_length=most, **settings)


def collected(overrides: Mapping[str, str]) -> Overrides:
    """Return overrides from keys and values as in the baggage, with or without the prefix `override.`.

    Raises:
        ValueError: One of them is not a valid override.
    """
    return Overrides.collect(_override(key, value) for key, value in overrides.items())


def _override(key: str, value: str) -> Override:
    short = key.removeprefix(PREFIX)
    read = read_entry(PREFIX + short, value)
    if isinstance(read, Override):
        return read
    if short.partition(".")[0] in KINDS:
        raise ValueError(f"overrides.{key}: {read.why.replace(PREFIX, '')}")
    known = ", ".join(f"{kind}.NAME" if kind.subject else kind for kind in Kind)
    raise ValueError(f"overrides.{key}: expected one of {known}, as in route.users")


class CheckIn(BaseModel, extra="forbid"):
    """Overrides to check before they are used."""

    overrides: Annotated[dict[str, str], overrides_field("key and value of each, as in a scenario")]


class MistakeOut(BaseModel):
    """An override that has no effect in the current mesh."""

    key: str
    value: str
    detail: Annotated[str, Field(description="explanation for people")]
    suggestion: Annotated[
        str, Field(description="the nearest override that would have an effect, in the syntax of the command line")
    ]


class WarningOut(BaseModel):
    """An override that affects only some ports of its service."""

    key: str
    value: str
    detail: Annotated[str, Field(description="explanation for people")]


class CheckOut(BaseModel):
    """The mistakes in overrides, and warnings; empty lists if there are none."""

    mistakes: list[MistakeOut]
    warnings: list[WarningOut] = []


class SwitchState(StrEnum):
    """Whether the mesh honours overrides; while it is `off`, the baseline answers every request."""

    ON = "on"
    OFF = "off"


class SwitchOut(BaseModel):
    """Whether the whole mesh honours overrides."""

    state: SwitchState
    reason: Annotated[str, Field(description="the reason that the user gave; may be empty")]
    by: Annotated[str, Field(description="the user who last used the switch; empty if it was never used")]
    since: datetime | None


class SwitchIn(BaseModel, extra="forbid"):
    """The new state of the kill switch."""

    state: SwitchState
    reason: Reason = ""
