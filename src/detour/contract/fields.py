"""Types of text fields that several models share: the accepted values, and the pattern that describes them."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field, WithJsonSchema

from detour.contract import patterns
from detour.mesh import Endpoint, is_line, is_name, is_scenario_name, parse_duration

DEFAULT_TTL: Final = "24h"

_QUOTED_MAX: Final = 60


def _name(text: str) -> str:
    if not is_name(text):
        known = "at most 63 letters, digits, dots, dashes and underscores, beginning with a letter or digit"
        raise ValueError(f"expected a name of {known}, got {text[:_QUOTED_MAX]!r}")
    return text


def _scenario_name(text: str) -> str:
    if not is_scenario_name(text):
        known = "at most 63 lowercase letters, digits and dashes, neither beginning nor ending with a dash"
        raise ValueError(f"expected a name of {known}, got {text[:_QUOTED_MAX]!r}")
    return text


def _endpoint(text: str) -> str:
    return str(Endpoint.parse(text))


def _ttl(text: str) -> str:
    parse_duration(text)
    return text


def _line(text: str) -> str:
    if not is_line(text):
        raise ValueError("expected text without control characters")
    return text


def _described(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern})


Name = Annotated[str, AfterValidator(_name), _described(patterns.NAME)]
ScenarioName = Annotated[str, AfterValidator(_scenario_name), _described(patterns.SCENARIO)]
EndpointText = Annotated[str, AfterValidator(_endpoint), _described(patterns.ENDPOINT)]
# Lengths come before the validator, so that pydantic checks them first and reports the number of characters.
Owner = Annotated[str, Field(max_length=100, json_schema_extra={"pattern": patterns.LINE}), AfterValidator(_line)]
Label = Annotated[
    str,
    Field(min_length=1, max_length=100, json_schema_extra={"pattern": patterns.LINE}),
    AfterValidator(_line),
]
Reason = Annotated[
    str,
    Field(
        description="the reason, shown in responses to requests whose overrides are ignored",
        max_length=200,
        json_schema_extra={"pattern": patterns.LINE},
    ),
    AfterValidator(_line),
]
Ttl = Annotated[
    str,
    AfterValidator(_ttl),
    Field(description="time until it expires: 30m, 24h, 7d", json_schema_extra={"pattern": patterns.TTL}),
]
