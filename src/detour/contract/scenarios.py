"""Scenarios: named sets of overrides."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, model_validator

from detour.contract import patterns
from detour.contract.fields import Owner
from detour.contract.overrides import collected, overrides_field
from detour.contract.pages import Page
from detour.mesh import is_text
from detour.overrides import append_to_baggage

DESCRIPTION_MAX: Final = 2000


def _text(text: str) -> str:
    if not is_text(text):
        raise ValueError("expected text, without control characters")
    return text


class ScenarioIn(BaseModel, extra="forbid"):
    """The parts of a scenario that people choose."""

    overrides: Annotated[
        dict[str, str],
        overrides_field(
            "key and value of each, as in the baggage; the prefix `override.` is optional",
            examples=[{"route.users": "pr-42", "delay.payments": "300ms", "config.new-checkout": "on"}],
            min_length=1,
        ),
    ]
    owner: Annotated[Owner | None, Field(description="by default, the caller who creates it")] = None
    description: Annotated[
        str,
        Field(max_length=DESCRIPTION_MAX, json_schema_extra={"pattern": patterns.TEXT}),
        AfterValidator(_text),
    ] = ""
    expires: Annotated[AwareDatetime | None, Field(description="when it expires; by default never")] = None

    @model_validator(mode="after")
    def _fits_into_a_header(self) -> Self:
        append_to_baggage(None, collected(self.overrides))
        return self


class ScenarioState(StrEnum):
    """Whether requests can enter a scenario."""

    LIVE = "live"
    EXPIRED = "expired"
    REMOVED = "removed"


class ScenarioOut(BaseModel):
    """One version of a scenario."""

    name: str
    version: int
    overrides: dict[str, str]
    baggage: Annotated[str, Field(description="the value of the `baggage` header that puts a request into it")]
    links: Annotated[
        list[str], Field(description="links that open the application in it; empty without `edge.url`")
    ]
    only_host: Annotated[
        str,
        Field(description="the only host on which the link with `?detour=` works; empty if it works on several"),
    ] = ""
    owner: str
    description: str
    expires: datetime | None
    state: ScenarioState
    changed: datetime
    changed_by: str
    warnings: Annotated[
        list[str], Field(description="overrides that affect only some ports of their service, a line each")
    ] = []


class ScenarioListOut(Page[ScenarioOut]):
    """Scenarios by name, or the versions of one, newest first."""


class ResolvedOut(BaseModel):
    """The header that puts a request into a scenario."""

    name: str
    version: int
    header: str = "baggage"
    value: str
