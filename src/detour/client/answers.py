"""Reading responses: the result of an operation, or an error that says what happened."""

import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar

import httpx

from detour.client.errors import (
    ClientError,
    UnexpectedAnswerError,
    UnreachableError,
    UntrustedServerError,
    error_of,
)
from detour.client.operations import Operation, query_of
from detour.contract import PROBLEM_MEDIA_TYPE, Problem
from detour.reason import reason_of

Result = TypeVar("Result")

_BODILESS: Final = (HTTPStatus.NO_CONTENT,)


def arguments_of(operation: Operation[Any], waiting: httpx.Timeout | None = None) -> dict[str, Any]:
    """Return an operation as the arguments of httpx's `build_request`.

    Args:
        operation: The operation to send.
        waiting: Its timeouts; None for those of the client.
    """
    headers = {"accept": f"{operation.accepts}, {PROBLEM_MEDIA_TYPE}", **operation.headers}
    arguments: dict[str, Any] = {"method": operation.method, "url": operation.path, "params": query_of(operation)}
    if waiting is not None:
        arguments["timeout"] = waiting
    if operation.body is not None:
        # The server chooses the values of fields that are not set.
        arguments["content"] = operation.body.model_dump_json(exclude_unset=True)
        headers["content-type"] = "application/json"
    return {**arguments, "headers": headers}


def read(operation: Operation[Result], server: str, response: httpx.Response) -> Result:
    """Return the result of an operation.

    Raises:
        ProblemError: The server refused, or failed.
        UnexpectedAnswerError: The response does not fit the API.
    """
    expect_success(operation, server, response)
    try:
        return operation.read(response.content)
    except ValueError as error:
        raise _unexpected(operation, server, "with unreadable JSON") from error


def expect_success(operation: Operation[Any], server: str, response: httpx.Response) -> None:
    """Raise an error unless a response is successful; its body has been read.

    Raises:
        ProblemError: The server refused, or failed.
        UnexpectedAnswerError: The response does not fit the API.
    """
    kind = _media_type(response.headers)
    if response.is_success and (response.status_code in _BODILESS or kind == operation.accepts):
        return
    if response.is_error and kind == PROBLEM_MEDIA_TYPE:
        raise _problem(operation, server, response)
    raise _unexpected(operation, server, str(response.status_code), " to")


def unreachable(server: str, error: httpx.RequestError) -> ClientError:
    """Return the error for a server that does not answer."""
    if isinstance(error.__context__, ssl.SSLError) or "[SSL" in str(error):
        return UntrustedServerError(
            f"the certificate of {server} is not trusted, or the server does not speak TLS: {reason_of(error)}"
        )
    return UnreachableError(f"no Detour server answers at {server} ({reason_of(error)})")


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _problem(operation: Operation[Any], server: str, response: httpx.Response) -> ClientError:
    try:
        return error_of(Problem.model_validate_json(response.content))
    except ValueError as error:
        unexpected = _unexpected(operation, server, "with unreadable JSON")
        unexpected.__cause__ = error
        return unexpected


def _unexpected(operation: Operation[Any], server: str, what: str, to: str = "") -> UnexpectedAnswerError:
    answered = f"{what} to {operation.path}" if to else f"{operation.path} {what}"
    return UnexpectedAnswerError(f"{server} answered {answered}: is that a Detour server?")
