"""Calls between services, and trials: requests that the server sends to trace their path through the mesh."""

from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, Field, model_validator

from detour.contract import patterns
from detour.contract.fields import ScenarioName
from detour.contract.overrides import OVERRIDES_MAX, collected, overrides_field
from detour.contract.pages import Page
from detour.overrides import append_to_baggage

_BODY_MAX: Final = 100_000
_HEADER: Final = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"

_HeaderName = Annotated[str, Field(pattern=_HEADER)]
_HeaderValue = Annotated[str, Field(pattern=r"^(?:[!-~](?:[ -~]*[!-~])?)?$", max_length=4000)]


class CallOut(BaseModel):
    """Calls from one service to another in the last minute."""

    caller: Annotated[str, Field(description="a service, or `edge`")]
    caller_deployment: Annotated[str | None, Field(description="null for the baseline, or if unknown")]
    service: str
    deployment: Annotated[str | None, Field(description="null for the baseline")]
    requests: Annotated[int, Field(description="completed in the last minute")]
    errors: Annotated[int, Field(description="how many of them failed: 5xx, or no response")]
    last: Annotated[datetime, Field(description="when the last one was reported")]


class CallListOut(Page[CallOut]):
    """Calls of the last minute."""


class TrialIn(BaseModel, extra="forbid"):
    """A request to send through the mesh's edge."""

    # One less than elsewhere: the trial adds one of its own.
    overrides: Annotated[
        dict[str, str], overrides_field("overrides for the request, as in a scenario", most=OVERRIDES_MAX - 1)
    ] = {}
    scenario: Annotated[ScenarioName | None, Field(description="a scenario for the request")] = None
    method: Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: Annotated[
        str, Field(description="path and query, percent-encoded", pattern=r'^/[!"$-~]*$', max_length=4000)
    ] = "/"
    host: Annotated[
        str | None,
        Field(
            description="a host that the edge serves; by default, and for other hosts, the host of `edge.url`",
            max_length=260,
        ),
    ] = None
    headers: Annotated[
        dict[_HeaderName, _HeaderValue],
        Field(
            description="headers to add; connection headers such as `host` are ignored",
            max_length=50,
            json_schema_extra=patterns.mapping_by(_HEADER),
        ),
    ] = {}
    body: Annotated[str, Field(max_length=_BODY_MAX)] = ""

    @model_validator(mode="after")
    def _fits_into_a_header(self) -> Self:
        append_to_baggage(None, collected(self.overrides))
        return self


class HopOut(BaseModel):
    """One request between two services."""

    caller: Annotated[str, Field(description="a service, or `edge`")]
    caller_deployment: Annotated[str | None, Field(description="null for the baseline, or if unknown")]
    caller_instance: Annotated[str, Field(description="the caller's Envoy; empty if no Envoy reported the hop")]
    service: str
    deployment: Annotated[str | None, Field(description="the requested deployment; null for the baseline")]
    served_by: Annotated[
        str | None, Field(description="`users` or `users@pr-42`; null without a response, and outside the mesh")
    ]
    method: str
    path: str
    status: Annotated[int | None, Field(description="null without a response")]
    grpc_status: int | None
    why: Annotated[str, Field(description="the failure, or the fault that an override requested")]
    offset_ms: Annotated[float, Field(description="time since the first hop, by the callers' clocks")]
    duration_ms: float
    parent: Annotated[
        int | None,
        Field(description="index in this list of the hop that caused it; null for the first hop, or if unknown"),
    ]


class ExpectedOut(BaseModel):
    """A deployment that the request was meant to reach."""

    service: str
    deployment: str
    reached: Annotated[bool | None, Field(description="null if hops may be missing from the list")]


class TrialOut(BaseModel):
    """The result of a trial."""

    id: str
    url: str
    status: int
    duration_ms: float
    body: Annotated[str, Field(description="the first 16 kB of the response body, as text")]
    truncated: bool
    headers: Annotated[dict[str, str], Field(description="the response headers, without cookies")]
    hops: Annotated[list[HopOut], Field(description="ordered by time")]
    expected: list[ExpectedOut]
    note: Annotated[str, Field(description="limitations of the result; usually empty")]
