"""What goes on in the mesh: who calls whom, and trying a request to see where it goes."""

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final, Literal, Self

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field, model_validator

from detour.mesh.checking import explained, mistakes
from detour.overrides import Kind, Overrides, append_to_baggage
from detour.scenarios import State
from detour.server.api import patterns
from detour.server.api.bodies import ScenarioName, collected
from detour.server.api.problems import NO_DATABASE, documented, expect_kept
from detour.server.control_plane import ControlPlane
from detour.server.edge import SilentEdgeError, Wish
from detour.server.trial import NoEdgeError, Outcome, attempt, marked
from detour.traffic.calls import Seen
from detour.traffic.hops import parents
from detour.traffic.reporter import EDGE
from detour.traffic.trials import TooManyTrialsError

_LONGEST_ID: Final = "0" * 24
_BODY_MAX: Final = 100_000

_HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")]
_HeaderValue = Annotated[str, Field(pattern=r"^(?:[!-~](?:[ -~]*[!-~])?)?$", max_length=4000)]


class CallOut(BaseModel):
    """Somebody calls something, and how often in the last minute."""

    caller: Annotated[str, Field(description="a service, or `edge`")]
    caller_deployment: Annotated[str | None, Field(description="null for the baseline, and where nobody said")]
    service: str
    deployment: Annotated[str | None, Field(description="null for the baseline")]
    requests: Annotated[int, Field(description="answered in the last minute")]
    errors: Annotated[int, Field(description="those of them that failed: 5xx, or no answer")]
    last: Annotated[datetime, Field(description="when the last one was reported")]

    @staticmethod
    def of(seen: Seen) -> "CallOut":
        """Return a call as the API has it."""
        last = datetime.fromtimestamp(seen.last, UTC)
        return CallOut(**seen.call._asdict(), requests=seen.requests, errors=seen.errors, last=last)


class TrialIn(BaseModel, extra="forbid"):
    """A request to send through the mesh's edge."""

    overrides: Annotated[
        dict[str, str],
        Field(
            description="what it carries, as in a scenario",
            examples=[{"route.users": "pr-42"}],
            max_length=63,
            json_schema_extra=patterns.OVERRIDES,
        ),
    ] = {}
    scenario: Annotated[ScenarioName | None, Field(description="a scenario to send it in")] = None
    method: Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: Annotated[
        str, Field(description="with its query, percent-encoded", pattern=r'^/[!"$-~]*$', max_length=4000)
    ] = "/"
    host: Annotated[
        str | None,
        Field(description="one that the edge serves; of any other, and by default, it is that of `edge.url`"),
        Field(max_length=260),
    ] = None
    headers: Annotated[
        dict[_HeaderName, _HeaderValue],
        Field(
            description="those by which the request itself travels are left out, such as `host`",
            max_length=50,
            json_schema_extra={"additionalProperties": False},
        ),
    ] = {}
    body: Annotated[str, Field(max_length=_BODY_MAX)] = ""

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        append_to_baggage(None, marked(collected(self.overrides), _LONGEST_ID))
        return self

    def wish(self, of_scenario: Overrides) -> Wish:
        """Return the value that it stands for, with what the scenario says."""
        return Wish(
            overrides=collected(self.overrides),
            scenario=self.scenario,
            of_scenario=of_scenario,
            method=self.method,
            path=self.path,
            host=self.host,
            headers=self.headers,
            body=self.body,
        )


class HopOut(BaseModel):
    """One request between two services."""

    caller: Annotated[str, Field(description="a service, or `edge`")]
    caller_deployment: Annotated[str | None, Field(description="null for the baseline, and where nobody said")]
    caller_instance: Annotated[str, Field(description="the caller's Envoy; empty where only the answer is known")]
    service: str
    deployment: Annotated[str | None, Field(description="which one it was for; null for the baseline")]
    served_by: Annotated[str | None, Field(description="`users` or `users@pr-42`; null if nobody did, or outside")]
    method: str
    path: str
    status: Annotated[int | None, Field(description="null if there was no answer")]
    grpc_status: int | None
    why: Annotated[str, Field(description="what went wrong, or was done on purpose")]
    offset_ms: Annotated[float, Field(description="after the first hop, by the callers' clocks")]
    duration_ms: float
    parent: Annotated[int | None, Field(description="the place in this list of the hop that it came of")]


class ExpectedOut(BaseModel):
    """A deployment that the request was to reach."""

    service: str
    deployment: str
    reached: Annotated[bool | None, Field(description="null where there may have been hops that nobody saw")]


class TrialOut(BaseModel):
    """What became of a request."""

    id: str
    url: str
    status: int
    duration_ms: float
    body: Annotated[str, Field(description="its first 16 kB, as text")]
    truncated: bool
    headers: Annotated[dict[str, str], Field(description="of the answer, without cookies")]
    hops: Annotated[list[HopOut], Field(description="in order of time")]
    expected: list[ExpectedOut]
    note: Annotated[str, Field(description="what to know when reading it; mostly nothing")]

    @staticmethod
    def of(outcome: Outcome, wish: Wish) -> "TrialOut":
        """Return an outcome as the API has it."""
        routes = wish.overrides.over(wish.of_scenario).of(Kind.ROUTE)
        answer = outcome.answer
        return TrialOut(
            id=outcome.id,
            url=answer.url,
            status=answer.status,
            duration_ms=_milliseconds(answer.seconds),
            body=answer.body,
            truncated=answer.truncated,
            headers=dict(answer.headers),
            hops=_hops(outcome),
            expected=[
                ExpectedOut(service=service, deployment=name, reached=outcome.reached(service, name))
                for service, name in routes.items()
            ],
            note=outcome.note,
        )


def add_traffic(app: FastAPI, plane: ControlPlane) -> None:
    """Add it to an API."""

    @app.get("/v1/calls")
    async def calls() -> Sequence[CallOut]:
        """List who calls whom, as Envoys counted in the last minute; whoever was silent for ten is left out.

        Calls that leave the mesh are not listed, nor those that no instance got.
        """
        return [CallOut.of(one) for one in plane.calls()]

    @app.post(
        "/v1/trials",
        responses=documented(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONFLICT,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.TOO_MANY_REQUESTS,
            NO_DATABASE,
            HTTPStatus.BAD_GATEWAY,
            HTTPStatus.GATEWAY_TIMEOUT,
        ),
    )
    async def try_out(body: TrialIn) -> TrialOut:
        """Send a request through the edge that the mesh file names, and tell each of its hops."""
        wish = body.wish(_overrides_of(plane, body.scenario))
        try:
            outcome = await attempt(
                wish, plane.mesh, plane.reports.trials, lambda: _has_edge(plane), plane.headers_for
            )
        except NoEdgeError as error:
            raise HTTPException(HTTPStatus.CONFLICT, str(error)) from error
        except TooManyTrialsError as error:
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, str(error)) from error
        except SilentEdgeError as error:
            raise HTTPException(HTTPStatus.BAD_GATEWAY, str(error)) from error
        except TimeoutError as error:
            raise HTTPException(HTTPStatus.GATEWAY_TIMEOUT, str(error)) from error
        tried = TrialOut.of(outcome, wish)
        unknown = explained(mistakes(wish.overrides.over(wish.of_scenario), plane.mesh))
        return tried.model_copy(update={"note": " ".join(filter(None, (*unknown, tried.note)))})


def _overrides_of(plane: ControlPlane, scenario: str | None) -> Overrides:
    """Return what a scenario adds to a request; of one that is over the edge says so itself."""
    if scenario is None:
        return Overrides()
    found = expect_kept(plane.book).get(scenario)
    return found.overrides if found.state(datetime.now(UTC)) is State.LIVE else Overrides()


def _has_edge(plane: ControlPlane) -> bool:
    return any(one.role == EDGE for one in plane.ads.connections)


def _hops(outcome: Outcome) -> list[HopOut]:
    hops = outcome.hops
    first = min((one.start for one in hops), default=0.0)
    return [
        HopOut(
            caller=one.caller,
            caller_deployment=one.caller_deployment,
            caller_instance=one.caller_instance,
            service=one.service,
            deployment=one.deployment,
            served_by=one.served_by,
            method=one.method,
            path=one.path,
            status=one.status,
            grpc_status=one.grpc_status,
            why=one.why,
            offset_ms=_milliseconds(one.start - first),
            duration_ms=_milliseconds(one.seconds),
            parent=parent,
        )
        for one, parent in zip(hops, parents(hops), strict=True)
    ]


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 2)
