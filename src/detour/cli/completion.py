"""Shell completion of names that the server knows.

Invariant: a completion takes at most about a second; on any error it suggests nothing.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

import typer

from detour.cli.connection import connected
from detour.client.server_address import server_of_environment

if TYPE_CHECKING:
    from detour.client import Client

_TIMEOUT_SECONDS: Final = 1


def services(incomplete: str) -> list[str]:
    """Complete the name of a service."""
    return _starting(incomplete, _asked(_services))


def deployments(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of an offloaded deployment of the service in the preceding argument."""
    service = context.params.get("service")
    return _starting(incomplete, _asked(lambda client: _deployments(client, service or "")))


def scenarios(incomplete: str) -> list[str]:
    """Complete the name of a scenario."""
    return _starting(incomplete, _asked(lambda client: (one.name for one in client.list_scenarios())))


def overrides(incomplete: str) -> list[str]:
    """Complete an override: the service, then its deployments."""
    service, equals, _ = incomplete.partition("=")
    if split := _split_by_bash():
        return _starting(incomplete, _asked(lambda client: _deployments(client, split)))
    if not equals:
        return _starting(incomplete, (f"{one}=" for one in _asked(_services)))
    found = _asked(lambda client: _deployments(client, service))
    return _starting(incomplete, (f"{service}={one}" for one in found))


def _split_by_bash() -> str:
    """Return the service of `users=pr` if the shell splits that into three words, as bash does."""
    words, position = os.environ.get("COMP_WORDS", "").split(), os.environ.get("COMP_CWORD", "")
    before = words[: int(position)] if position.isdigit() else []
    return before[-2] if before[-1:] == ["="] and len(before) > 1 else ""


def _services(client: "Client") -> Iterator[str]:
    return (one.name for one in client.list_services())


def _deployments(client: "Client", service: str) -> Iterator[str]:
    """Return the names of a service's deployments, or of all deployments."""
    return (one.name for one in client.list_deployments() if service in {"", one.service})


def _asked(names: "Callable[[Client], Iterable[str]]") -> list[str]:
    try:
        with connected(server_of_environment(), timeout_seconds=_TIMEOUT_SECONDS, is_patient=False) as client:
            return list(names(client))
    except Exception:  # noqa: BLE001  a message would disturb the line that the person is typing
        return []


def _starting(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})
