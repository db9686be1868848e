"""Checking what a person types against the mesh, before anything is sent or saved.

Invariant: a name that the mesh does not have is refused with the nearest one, and status 1, unless it is forced;
where no server answers, a line says that names were not checked, and the command goes on.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from detour.cli.connection import checked, connected, is_unchecked, listens
from detour.overrides import PREFIX, Kind, Override

if TYPE_CHECKING:
    from detour.client import MistakeOut

Force = Annotated[
    bool, typer.Option("--force", help="Also services and deployments that the mesh does not have yet.")
]

_TIMEOUT_SECONDS = 3


def expect_known(server: str, overrides: Iterable[Override], *, force: bool = False) -> None:
    """Check the names in overrides.

    Args:
        server: The URL of the server that knows them.
        overrides: What was typed.
        force: Whether they may be unknown.

    Raises:
        typer.Exit: One is unknown (status 1).
    """
    asked = {one.key.removeprefix(PREFIX): one.value for one in overrides}
    if force or not asked:
        return
    if not listens(server, _TIMEOUT_SECONDS):
        _note(f"names were not checked: no Detour server answers at {server}")
        return
    try:
        found = _mistakes(server, asked)
    except RuntimeError as error:
        if not is_unchecked(error):
            raise
        _note(f"names were not checked: {error}")
        return
    for one in found:
        typer.secho(f"detour: {one.detail}", fg=typer.colors.RED, err=True)
    if found:
        typer.echo("For what does not exist yet, give --force.", err=True)
        raise typer.Exit(1)


def advice(server: str, service: str) -> str:
    """Return what to say of the service that a sidecar is for; empty if nothing, or where no server can say."""
    asked = {f"{Kind.DELAY}.{service}": "1ms"}
    try:
        found = _mistakes(server, asked)
    except RuntimeError:
        return ""
    if not found:
        return ""
    nearest = found[0].suggestion.partition("=")[0].removeprefix(f"{Kind.DELAY}.")
    instead = f"; did you mean {nearest}?" if nearest else "."
    return f"The mesh has no service {service}{instead} This sidecar goes on, but no service calls it by that name"


def _mistakes(server: str, asked: dict[str, str]) -> list["MistakeOut"]:
    from detour.client import CheckIn  # noqa: PLC0415  which other commands need not wait for

    with connected(server, timeout_seconds=_TIMEOUT_SECONDS, is_patient=False) as client:
        return client.check_overrides(checked(CheckIn, overrides=asked)).mistakes


def _note(words: str) -> None:
    typer.secho(f"detour: {words}", fg=typer.colors.YELLOW, err=True)
