"""The name of this process's service in the mesh."""

import os
from typing import Final
from urllib.parse import unquote

_NAME: Final = "OTEL_SERVICE_NAME"
_ATTRIBUTES: Final = "OTEL_RESOURCE_ATTRIBUTES"

_given: list[str] = []


def set_name(name: str) -> None:
    """Set the name; it takes precedence over the environment."""
    _given[:] = [name]


def name() -> str:
    """Return the name, as OpenTelemetry's SDKs determine it (specification, "Resource SDK"); "" if none is set."""
    if _given:
        return _given[0]
    return os.environ.get(_NAME) or _attribute("service.name")


def _attribute(key: str) -> str:
    pairs = (pair.partition("=") for pair in os.environ.get(_ATTRIBUTES, "").split(","))
    return next((unquote(value.strip()) for found, _, value in pairs if found.strip() == key), "")
