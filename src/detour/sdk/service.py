"""What the mesh calls the service that this process is."""

import os
from typing import Final
from urllib.parse import unquote

_NAME: Final = "OTEL_SERVICE_NAME"
_ATTRIBUTES: Final = "OTEL_RESOURCE_ATTRIBUTES"

_given: list[str] = []


def set_name(name: str) -> None:
    """Say what it is called, whatever the environment says."""
    _given[:] = [name]


def name() -> str:
    """Return its name, as OpenTelemetry's SDKs find it (specification, "Resource SDK"); "" if nobody says it."""
    if _given:
        return _given[0]
    return os.environ.get(_NAME) or _attribute("service.name")


def _attribute(key: str) -> str:
    pairs = (pair.partition("=") for pair in os.environ.get(_ATTRIBUTES, "").split(","))
    return next((unquote(value.strip()) for found, _, value in pairs if found.strip() == key), "")
