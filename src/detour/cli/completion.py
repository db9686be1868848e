"""What a shell completes: names that the server has.

Invariant: a key press waits a moment at most, and what goes wrong completes nothing.
"""

import os
from collections.abc import Iterable
from typing import Any, Final

import typer

from detour.cli.client import DEFAULT_SERVER, ENVIRONMENT, request

_TIMEOUT_SECONDS: Final = 1


def services(incomplete: str) -> list[str]:
    """Complete the name of a service."""
    return _starting(incomplete, (one["name"] for one in _asked("/v1/services")))


def deployments(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of an offloaded deployment, of the service that stands in front."""
    service = context.params.get("service")
    found = _asked("/v1/deployments")
    return _starting(incomplete, (one["name"] for one in found if service in {None, "", one["service"]}))


def scenarios(incomplete: str) -> list[str]:
    """Complete the name of a scenario."""
    return _starting(incomplete, (one["name"] for one in _asked("/v1/scenarios?limit=1000")))


def overrides(incomplete: str) -> list[str]:
    """Complete an override: the service, then its deployments."""
    service, equals, _ = incomplete.partition("=")
    if split := _split_by_bash():
        return _starting(incomplete, (one["name"] for one in _asked("/v1/deployments") if one["service"] == split))
    if not equals:
        return _starting(incomplete, (f"{one['name']}=" for one in _asked("/v1/services")))
    found = (f"{service}={one['name']}" for one in _asked("/v1/deployments") if one["service"] == service)
    return _starting(incomplete, found)


def _split_by_bash() -> str:
    """Return the service of `users=pr` where the shell takes that for three words, as bash does."""
    words, position = os.environ.get("COMP_WORDS", "").split(), os.environ.get("COMP_CWORD", "")
    before = words[: int(position)] if position.isdigit() else []
    return before[-2] if before[-1:] == ["="] and len(before) > 1 else ""


def _asked(path: str) -> list[dict[str, Any]]:
    server = os.environ.get(ENVIRONMENT) or DEFAULT_SERVER
    try:
        return list(request(server, "GET", path, timeout_seconds=_TIMEOUT_SECONDS))
    except Exception:  # noqa: BLE001  the person is in the middle of a line
        return []


def _starting(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})
