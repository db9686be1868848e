"""Overrides: reading and checking them, and the kill switch."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field

from detour.contract import patterns
from detour.contract.fields import Reason
from detour.overrides import KINDS, PREFIX, Kind, Override, Overrides, read_entry


def collected(overrides: Mapping[str, str]) -> Overrides:
    """Return overrides whose keys are those of the baggage, with or without `override.` in front.

    Raises:
        ValueError: One of them is not an override.
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

    overrides: Annotated[
        dict[str, str],
        Field(
            description="key and value of each, as in a scenario",
            examples=[{"route.users": "pr-42"}],
            max_length=64,
            json_schema_extra=patterns.OVERRIDES,
        ),
    ]


class MistakeOut(BaseModel):
    """An override that cannot take effect in the mesh as it is."""

    key: str
    value: str
    detail: Annotated[str, Field(description="what is wrong, for people")]
    suggestion: Annotated[str, Field(description="the nearest override that could, as the command line takes it")]


class CheckOut(BaseModel):
    """What is wrong with overrides; nothing if the list is empty."""

    mistakes: list[MistakeOut]


class SwitchState(StrEnum):
    """Whether the mesh honours overrides; while they are `off`, the baseline answers every request."""

    ON = "on"
    OFF = "off"


class SwitchOut(BaseModel):
    """Whether the whole mesh honours overrides."""

    state: SwitchState
    reason: Annotated[str, Field(description="why, in the words of the person who switched; may be empty")]
    by: Annotated[str, Field(description="the person who switched; empty if the switch was never used")]
    since: datetime | None


class SwitchIn(BaseModel, extra="forbid"):
    """Whether the whole mesh is to honour overrides."""

    state: SwitchState
    reason: Reason = ""
