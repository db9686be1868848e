"""Scenarios. Writes name the version that they are based on in `If-Match` (RFC 9110, section 13)."""

import re
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Header, HTTPException, Path, Query, Response

from detour.contract import ResolvedOut, ScenarioIn, ScenarioListOut, ScenarioName, ScenarioOut, patterns
from detour.overrides import append_to_baggage
from detour.scenarios import Filter, LifecycleState, Scenario
from detour.server.api import pages
from detour.server.api.bodies import draft_of, scenario_out
from detour.server.api.callers import Caller
from detour.server.api.checking import Force
from detour.server.api.operations import Tag
from detour.server.api.pages import PAGE, Limit, Number, before, page
from detour.server.api.problems import NO_DATABASE, documented
from detour.server.control_plane import ControlPlane

_TAG = re.compile(r'"([1-9][0-9]{0,8})"')
_ANY_TAG = re.compile(r'"[^"]*"')
_ETAG: Final[dict[str, Any]] = {
    "headers": {"ETag": {"schema": {"type": "string"}, "description": 'the version, as `"3"`'}}
}
_NO_SCENARIO: Final = (NO_DATABASE, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
_WRITING: Final = (
    HTTPStatus.BAD_REQUEST,
    *_NO_SCENARIO,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.PRECONDITION_REQUIRED,
)

Name = Annotated[ScenarioName, Path(description="the scenario's name: one label of a host name")]
_Version = Annotated[int, Path(ge=1, le=999_999_999, description="the version's number: 1, 2, 3")]
_IfMatch = Annotated[
    str | None,
    Header(
        description='the version that you read and want to change, as `"3"`',
        max_length=100,
        json_schema_extra={"pattern": patterns.TAG},
    ),
]
_KnownTags = Annotated[
    str | None,
    Header(description='versions that the client has, as `"3"`; 304 if they include the last one', max_length=100),
]
_IfNoneMatch = Annotated[
    str | None, Header(description="`*` creates a scenario that must not exist yet", max_length=100)
]
_StateWanted = Annotated[
    Literal["live", "expired", "removed", "all"], Query(description="only scenarios in this state")
]
_OwnerWanted = Annotated[str, Query(description="only scenarios of this owner", max_length=100)]


def add_scenarios(app: FastAPI, plane: ControlPlane) -> None:
    """Add the operations to an API."""
    _add_reading(app, plane)
    _add_versions(app, plane)
    _add_writing(app, plane)


def _add_reading(app: FastAPI, plane: ControlPlane) -> None:
    @app.get(
        "/v1/scenarios",
        tags=[Tag.SCENARIOS],
        responses=documented(NO_DATABASE, HTTPStatus.UNPROCESSABLE_ENTITY),
    )
    async def list_scenarios(
        *,
        cursor: pages.Name = None,
        limit: Limit = PAGE,
        state: _StateWanted = "live",
        owner: _OwnerWanted = "",
    ) -> ScenarioListOut:
        """List scenarios, by name."""
        wanted = Filter(datetime.now(UTC), None if state == "all" else LifecycleState(state), owner)
        found = await plane.scenarios.list(wanted, cursor or "", limit + 1)
        shown, following = page(found, limit, lambda one: one.name)
        return ScenarioListOut(items=[_out(plane, one) for one in shown], next=following)

    @app.get(
        "/v1/scenarios/{name}",
        tags=[Tag.SCENARIOS],
        response_model=ScenarioOut,
        responses={200: _ETAG, 304: {"description": "Not Modified"}, **documented(*_NO_SCENARIO)},
    )
    async def get_scenario(
        name: Name, response: Response, if_none_match: _KnownTags = None
    ) -> ScenarioOut | Response:
        """Return a scenario, even if it has expired or was removed: see `state`."""
        found = plane.scenarios.get(name)
        response.headers["ETag"] = _tag(found)
        if _tag(found) in _ANY_TAG.findall(if_none_match or ""):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": _tag(found)})
        return _out(plane, found)

    @app.get(
        "/v1/scenarios/{name}/resolve",
        tags=[Tag.SCENARIOS],
        responses=documented(*_NO_SCENARIO, HTTPStatus.GONE),
    )
    async def resolve_scenario(name: Name) -> ResolvedOut:
        """Return the header that puts a request into a scenario."""
        found = plane.scenarios.live(name)
        return ResolvedOut(name=name, version=found.version, value=append_to_baggage(None, found.overrides))


def _add_versions(app: FastAPI, plane: ControlPlane) -> None:
    @app.get("/v1/scenarios/{name}/versions", tags=[Tag.SCENARIOS], responses=documented(*_NO_SCENARIO))
    async def list_scenario_versions(name: Name, cursor: Number = None, limit: Limit = PAGE) -> ScenarioListOut:
        """List the versions of a scenario, newest first."""
        found = await plane.scenarios.versions(name, before(cursor), limit + 1)
        shown, following = page(found, limit, lambda one: one.version)
        return ScenarioListOut(items=[_out(plane, one) for one in shown], next=following)

    @app.get("/v1/scenarios/{name}/versions/{version}", tags=[Tag.SCENARIOS], responses=documented(*_NO_SCENARIO))
    async def get_scenario_version(name: Name, version: _Version) -> ScenarioOut:
        """Return a version of a scenario."""
        return _out(plane, await plane.scenarios.version(name, version))


def _add_writing(app: FastAPI, plane: ControlPlane) -> None:
    @app.put(
        "/v1/scenarios/{name}",
        tags=[Tag.SCENARIOS],
        responses={
            200: _ETAG,
            201: {"model": ScenarioOut, "description": "Created", **_ETAG},
            **documented(*_WRITING, HTTPStatus.CONFLICT),
        },
    )
    async def save_scenario(
        name: Name,
        body: ScenarioIn,
        response: Response,
        caller: Caller,
        *,
        if_match: _IfMatch = None,
        if_none_match: _IfNoneMatch = None,
        force: Force = False,
    ) -> ScenarioOut:
        """Create a scenario (`If-None-Match: *`), or the next version of one (`If-Match` with the last version).

        By default, the caller owns a new scenario, and the owner of an existing one does not change. New overrides
        must name services and deployments of the mesh, unless `force` is set.
        """
        if (if_none_match or "").strip() == "*":
            made = await plane.scenarios.create(caller, name, draft_of(body, caller.name), force=force)
            response.status_code = HTTPStatus.CREATED
        else:
            draft, version = partial(draft_of, body), _version_of(if_match)
            made = await plane.scenarios.change(caller, name, draft, version, force=force)
        response.headers["ETag"] = _tag(made)
        return _out(plane, made)

    @app.delete(
        "/v1/scenarios/{name}",
        tags=[Tag.SCENARIOS],
        status_code=HTTPStatus.NO_CONTENT,
        response_class=Response,
        responses=documented(*_WRITING),
    )
    async def remove_scenario(name: Name, caller: Caller, if_match: _IfMatch = None) -> Response:
        """Remove a scenario; its versions can still be read."""
        await plane.scenarios.remove(caller, name, _version_of(if_match))
        return Response(status_code=HTTPStatus.NO_CONTENT)


def _out(plane: ControlPlane, scenario: Scenario) -> ScenarioOut:
    return scenario_out(scenario, plane.mesh)


def _tag(scenario: Scenario) -> str:
    return f'"{scenario.version}"'


def _version_of(if_match: str | None) -> int | None:
    """Return the version that a change is based on; None if the request does not name one."""
    match = _TAG.fullmatch((if_match or "").strip())
    if if_match is not None and match is None:
        raise HTTPException(
            HTTPStatus.PRECONDITION_FAILED, f'{if_match} is not a version: expected a number in quotes, such as "3"'
        )
    return int(match[1]) if match else None
