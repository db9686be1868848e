"""The OpenAPI document: additions and corrections to the one that FastAPI generates.

Invariant: the document contains every schema once, under a unique name; generators drop inlined schemas.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI

from detour.contract import Problem
from detour.server.api.callers import OPEN
from detour.server.api.problems import documented

EVERYWHERE: Final = (HTTPStatus.FORBIDDEN, HTTPStatus.INTERNAL_SERVER_ERROR)
"""Errors that every operation may return."""

_IDENTIFIED: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.SERVICE_UNAVAILABLE)
"""Errors of operations that identify the caller."""

_FASTAPIS: Final = ("HTTPValidationError", "ValidationError")
"""Schemas of FastAPI's own errors, which this API never returns."""


def describe(app: FastAPI) -> None:
    """Complete the document of an application, after all operations were added."""
    document = app.openapi()
    for path, operation in _operations(document):
        _describe_access(operation, is_open=path in OPEN)
        _describe_parameters(operation)
        if "application/json" in operation["responses"].get("422", {}).get("content", ()):
            # FastAPI documents it for every parameter; here the only one is a header that accepts any value.
            del operation["responses"]["422"]
    schemas = document["components"]["schemas"]
    for name in _FASTAPIS:
        schemas.pop(name, None)
    schemas[Problem.__name__] = Problem.model_json_schema()


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            yield path, operation


def _describe_access(operation: dict[str, Any], *, is_open: bool) -> None:
    """Document the callers that an operation accepts: all if it is open, else those with a token and local ones."""
    if is_open:
        operation.pop("security", None)
        operation["responses"].pop(str(HTTPStatus.FORBIDDEN.value), None)
        return
    # The empty requirement means that local callers need no token (OpenAPI 3.1, section 4.8.30).
    operation["security"].append({})
    for code, answer in documented(*_IDENTIFIED).items():
        operation["responses"].setdefault(str(code), answer)


def _describe_parameters(operation: dict[str, Any]) -> None:
    """Remove null from optional parameters: a parameter may be left out, but it cannot be null."""
    for parameter in operation.get("parameters", ()):
        match parameter["schema"].get("anyOf"):
            case [kind, {"type": "null"}]:
                parameter["schema"].pop("anyOf")
                parameter["schema"].update(kind)
