"""Scenarios: written with the version that was changed in `If-Match` (RFC 9110, section 13), never blindly."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Header, HTTPException, Path, Query, Request, Response

from detour.overrides import append_to_baggage
from detour.scenarios import Filter, NoScenarioError, Scenario, State
from detour.server.api import pages, patterns
from detour.server.api.bodies import ResolvedOut, ScenarioIn, ScenarioName, ScenarioOut
from detour.server.api.callers import Caller
from detour.server.api.checking import Force, expect_known
from detour.server.api.pages import LINK, PAGE, Limit, Number, page
from detour.server.api.problems import NO_DATABASE, documented, expect_kept
from detour.server.book import ScenarioBook
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
_Version = Annotated[int, Path(ge=1, le=999_999_999)]
_IfMatch = Annotated[
    str | None,
    Header(
        description='the version that was changed, as `"3"`',
        max_length=100,
        json_schema_extra={"pattern": patterns.TAG},
    ),
]
_IfNoneMatch = Annotated[str | None, Header(description="`*` makes a scenario that is new", max_length=100)]
_StateWanted = Annotated[Literal["live", "expired", "removed", "all"], Query(description="only those that are so")]
_OwnerWanted = Annotated[str, Query(description="only this person's", max_length=100)]


def expect_live(plane: ControlPlane, name: str) -> Scenario:
    """Return a scenario that can be entered.

    Raises:
        HTTPException: Its time is over; what became of it is the problem's detail.
        NoScenarioError: There is none of that name.
    """
    found = expect_kept(plane.book).get(name)
    match found.state(datetime.now(UTC)):
        case State.REMOVED:
            raise HTTPException(HTTPStatus.GONE, f"scenario {name} was removed, by {found.changed_by}")
        case State.EXPIRED:
            when = f"scenario {name} expired at {found.expires:%Y-%m-%d %H:%M} UTC"
            raise HTTPException(HTTPStatus.GONE, f"{when}; to go on with it, change its expiry")
    return found


def add_scenarios(app: FastAPI, plane: ControlPlane) -> None:
    """Add them to an API."""
    _add_reading(app, plane)
    _add_writing(app, plane)


def _add_reading(app: FastAPI, plane: ControlPlane) -> None:
    @app.get("/v1/scenarios", responses={200: LINK, **documented(NO_DATABASE, HTTPStatus.UNPROCESSABLE_ENTITY)})
    async def scenarios(
        request: Request,
        response: Response,
        *,
        place: pages.Name = None,
        limit: Limit = PAGE,
        state: _StateWanted = "live",
        owner: _OwnerWanted = "",
    ) -> Sequence[ScenarioOut]:
        """List scenarios, by name."""
        wanted = Filter(datetime.now(UTC), None if state == "all" else State(state), owner)
        found = await expect_kept(plane.book).all(wanted, place or "", limit + 1)
        shown = page(request, response, found, limit, lambda one: one.name)
        return [_out(plane, one) for one in shown]

    @app.get(
        "/v1/scenarios/{name}",
        response_model=ScenarioOut,
        responses={200: _ETAG, 304: {"description": "Not Modified"}, **documented(*_NO_SCENARIO)},
    )
    async def show(name: Name, response: Response, if_none_match: _IfNoneMatch = None) -> ScenarioOut | Response:
        """Return a scenario as it is, also if it has expired or was removed: `state` tells."""
        found = expect_kept(plane.book).get(name)
        response.headers["ETag"] = _tag(found)
        if _tag(found) in _ANY_TAG.findall(if_none_match or ""):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": _tag(found)})
        return _out(plane, found)

    @app.get("/v1/scenarios/{name}/versions", responses={200: LINK, **documented(*_NO_SCENARIO)})
    async def versions(
        name: Name, request: Request, response: Response, place: Number = None, limit: Limit = PAGE
    ) -> Sequence[ScenarioOut]:
        """List the versions of a scenario, newest first."""
        found = await expect_kept(plane.book).versions(name, place, limit + 1)
        shown = page(request, response, found, limit, lambda one: one.version)
        return [_out(plane, one) for one in shown]

    @app.get("/v1/scenarios/{name}/versions/{version}", responses=documented(*_NO_SCENARIO))
    async def version(name: Name, version: _Version) -> ScenarioOut:
        """Return a version of a scenario."""
        return _out(plane, await expect_kept(plane.book).version(name, version))

    @app.get("/v1/scenarios/{name}/resolve", responses=documented(*_NO_SCENARIO, HTTPStatus.GONE))
    async def resolve(name: Name) -> ResolvedOut:
        """Return the header that puts a request into a scenario."""
        found = expect_live(plane, name)
        return ResolvedOut(name=name, version=found.version, value=append_to_baggage(None, found.overrides))


def _add_writing(app: FastAPI, plane: ControlPlane) -> None:
    @app.put(
        "/v1/scenarios/{name}",
        responses={
            200: _ETAG,
            201: {"model": ScenarioOut, "description": "Created", **_ETAG},
            **documented(*_WRITING, HTTPStatus.CONFLICT),
        },
    )
    async def put(
        name: Name,
        body: ScenarioIn,
        response: Response,
        caller: Caller,
        *,
        if_match: _IfMatch = None,
        if_none_match: _IfNoneMatch = None,
        force: Force = False,
    ) -> ScenarioOut:
        """Make a scenario (`If-None-Match: *`), or the next version of one (`If-Match` with the last).

        The owner is by default who asks, and otherwise stays who it was. New overrides have to name services and
        deployments that the mesh has, unless it is forced.
        """
        book = expect_kept(plane.book)
        is_new = (if_none_match or "").strip() == "*"
        before = _last(book, name)
        # One whose name is taken is refused for that.
        if not force and not (is_new and before and before.state(datetime.now(UTC)) is State.LIVE):
            expect_known(plane, body.draft(owner="").overrides, before.overrides if before else None)
        if is_new:
            made = await book.create(name, body.draft(owner=caller.name), caller.name)
            response.status_code = HTTPStatus.CREATED
        else:
            version = _expected(if_match)
            owner = book.get(name).owner
            if body.owner not in {None, owner}:
                caller.expect_owner(f"scenario {name}", owner)
            made = await book.change(name, body.draft(owner=owner), caller.name, version)
        response.headers["ETag"] = _tag(made)
        return _out(plane, made)

    @app.delete(
        "/v1/scenarios/{name}",
        status_code=HTTPStatus.NO_CONTENT,
        response_class=Response,
        responses=documented(*_WRITING),
    )
    async def remove(name: Name, caller: Caller, if_match: _IfMatch = None) -> Response:
        """Remove a scenario; its versions stay readable."""
        version = _expected(if_match)
        caller.expect_owner(f"scenario {name}", expect_kept(plane.book).get(name).owner)
        await expect_kept(plane.book).remove(name, caller.name, version)
        return Response(status_code=HTTPStatus.NO_CONTENT)


def _last(book: ScenarioBook, name: str) -> Scenario | None:
    try:
        return book.get(name)
    except NoScenarioError:
        return None


def _out(plane: ControlPlane, scenario: Scenario) -> ScenarioOut:
    return ScenarioOut.of(scenario, datetime.now(UTC), plane.mesh.settings)


def _tag(scenario: Scenario) -> str:
    return f'"{scenario.version}"'


def _expected(if_match: str | None) -> int:
    """Return the version that a change was made from."""
    if if_match is None:
        raise HTTPException(
            HTTPStatus.PRECONDITION_REQUIRED,
            'say which version you change: send the ETag that you read, as in If-Match: "3"; a new scenario takes'
            " If-None-Match: *",
        )
    match = _TAG.fullmatch(if_match.strip())
    if match is None:
        raise HTTPException(HTTPStatus.PRECONDITION_FAILED, f'no version is called {if_match}; they are like "3"')
    return int(match[1])
