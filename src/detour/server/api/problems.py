"""Errors of the API as problem details (RFC 9457).

Invariant: the response says what the client can correct, and how. Unexpected errors are logged with their
traceback; their text is never part of a response.
"""

import logging
import re
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from detour.access import ForbiddenError, NoTokenError, UnknownCallerError
from detour.access.issuer import IssuerError
from detour.contract import PROBLEM_MEDIA_TYPE, Problem, explained
from detour.database import StorageError
from detour.mesh import ForbiddenEndpointError
from detour.offload.kubernetes.errors import CannotCopyError, ClusterError
from detour.offload.ownership import OwnedByAnotherError
from detour.scenarios import NoScenarioError, OutdatedError, ScenarioExistsError
from detour.server.deployments import (
    DeploymentConflictError,
    NoClusterError,
    UnknownServiceError,
    UnreadServiceError,
)
from detour.server.followed_database import NoDatabaseError
from detour.server.scenarios import NoVersionError, ScenarioEndedError, UnknownNamesError

NO_DATABASE: Final = HTTPStatus.NOT_IMPLEMENTED
"""The status of operations that need a database, on a server without one."""

_NAME_SHOWN = 60

_PASSED_ON = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)

_STATUSES: Final[Mapping[type[Exception], HTTPStatus]] = {
    CannotCopyError: HTTPStatus.UNPROCESSABLE_ENTITY,
    DeploymentConflictError: HTTPStatus.CONFLICT,
    ForbiddenEndpointError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    NoClusterError: HTTPStatus.CONFLICT,
    NoDatabaseError: NO_DATABASE,
    NoTokenError: HTTPStatus.NOT_FOUND,
    NoVersionError: HTTPStatus.PRECONDITION_REQUIRED,
    OwnedByAnotherError: HTTPStatus.CONFLICT,
    ScenarioEndedError: HTTPStatus.GONE,
    ScenarioExistsError: HTTPStatus.PRECONDITION_FAILED,
    UnknownNamesError: HTTPStatus.CONFLICT,
    UnknownServiceError: HTTPStatus.NOT_FOUND,
    UnreadServiceError: HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""The statuses of errors whose message is the detail of the problem."""

_FRAMEWORK_DETAILS: Final = frozenset(
    {"Not Found", "Method Not Allowed", "There was an error parsing the body", "Bad Request"}
)
"""Details from FastAPI and Starlette; all others come from handlers, and are passed on."""

_log = logging.getLogger(__name__)


def documented(*codes: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return the description of problems with these statuses, for FastAPI's `responses`."""
    content = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}
    return {code.value: {"description": code.phrase, "content": content} for code in codes}


def add_problems(app: FastAPI) -> None:
    """Convert every error of an application to problem details."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _unexpected)
    app.add_exception_handler(StorageError, _not_stored)
    app.add_exception_handler(ClusterError, _cluster_refused)
    app.add_exception_handler(NoScenarioError, _no_scenario)
    app.add_exception_handler(OutdatedError, _outdated)
    app.add_exception_handler(UnknownCallerError, _unknown_caller)
    app.add_exception_handler(IssuerError, _issuer_failed)
    for kind, code in _STATUSES.items():
        app.add_exception_handler(kind, partial(_expected, code))


def problem(code: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a response with a problem document."""
    content = Problem(title=code.phrase, status=code.value, detail=detail).model_dump()
    return JSONResponse(content, status_code=code, headers=headers, media_type=PROBLEM_MEDIA_TYPE)


async def _expected(code: HTTPStatus, _request: Request, error: Exception) -> JSONResponse:
    return problem(code, str(error))


async def _no_scenario(_request: Request, error: Exception) -> JSONResponse:
    return problem(HTTPStatus.NOT_FOUND, f"{error}; GET /v1/scenarios (detour scenario ls) lists all scenarios")


async def _outdated(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OutdatedError)  # noqa: S101  handlers are registered by type
    return problem(HTTPStatus.PRECONDITION_FAILED, str(error), {"ETag": f'"{error.current.version}"'})


async def _unknown_caller(_request: Request, error: Exception) -> JSONResponse:
    """Return a challenge for authentication (RFC 9110, section 11.6.1)."""
    return problem(HTTPStatus.UNAUTHORIZED, str(error), {"WWW-Authenticate": 'Bearer realm="detour"'})


async def _issuer_failed(_request: Request, error: Exception) -> JSONResponse:
    _log.error("%s", error)
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))


async def _cluster_refused(_request: Request, error: Exception) -> JSONResponse:
    """Pass on the cluster's refusal if the client caused it; otherwise the cluster failed as a gateway."""
    code = error.code if isinstance(error, ClusterError) else 0
    return problem(HTTPStatus(code) if code in _PASSED_ON else HTTPStatus.BAD_GATEWAY, str(error))


async def _not_stored(_request: Request, error: Exception) -> JSONResponse:
    _log.error("%s", error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))


async def _unexpected(request: Request, _error: Exception) -> JSONResponse:
    # Starlette raises the error again after this response, and uvicorn logs it with its traceback.
    detail = f"the server failed to handle {request.method} {request.url.path}; its log has the reason"
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    """Convert refusals of handlers, and those of FastAPI and Starlette before a handler is called."""
    assert isinstance(error, HTTPException)  # noqa: S101  handlers are registered by type
    code, detail, headers = HTTPStatus(error.status_code), error.detail, error.headers
    if detail in _FRAMEWORK_DETAILS:
        operation = f"{request.method} {request.url.path}"
        match code:
            case HTTPStatus.NOT_FOUND:
                detail = _explain_path(request) or f"{operation} does not exist; GET /docs lists all operations"
            case HTTPStatus.METHOD_NOT_ALLOWED:
                allowed = ", ".join(_methods(request))
                detail, headers = f"{operation} does not exist; this path allows {allowed}", {"Allow": allowed}
            case HTTPStatus.BAD_REQUEST:
                detail = "the body cannot be read: send JSON, in UTF-8"
    return problem(code, detail, headers)


def _explain_path(request: Request) -> str:
    """Explain a path whose scenario or deployment has a slash in its name; return "" for other paths."""
    kind, _, name = request.url.path.removeprefix("/v1/").partition("/")
    if kind == "deployments" and name.count("/") > 1:
        return f"deployment {name} does not exist: names of services and deployments have no slash"
    if kind != "scenarios" or "/" not in name or request.url.path.partition("/v1/")[0]:
        return ""
    shown = name[:_NAME_SHOWN]
    return (
        f"{shown} is not a valid scenario name: expected at most 63 lowercase letters, digits and dashes, such as"
        f" {re.sub('[^a-z0-9]+', '-', shown.lower()).strip('-') or 'checkout'}"
    )


def _methods(request: Request) -> list[str]:
    """Return the methods that a path allows; Starlette itself returns only those of the first route."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in routes for method in route.methods})


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  handlers are registered by type
    # The first part of a location is the body, the query, the path or a header.
    found = [{**mistake, "loc": mistake["loc"][1:]} for mistake in error.errors()]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, explained(found))
