"""Checks the names that a person types against the mesh, before a command sends or saves anything.

Invariant: a command refuses an unknown name, suggests the nearest one and exits with status 1, unless --force is
given; it also refuses services that overrides cannot affect. If an override affects only some ports of its service,
the command prints a warning, and continues. If no server answers, the command prints that it did not check names,
and continues.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from detour.cli.connection import checked, connected, is_unchecked, listens
from detour.overrides import PREFIX, Kind, Override

if TYPE_CHECKING:
    from detour.client import CheckOut

Force = Annotated[
    bool, typer.Option("--force", help="Accept services and deployments that the mesh does not have yet.")
]

_TIMEOUT_SECONDS = 3


def expect_known(server: str, overrides: Iterable[Override], *, force: bool = False, warns: bool = True) -> None:
    """Check the names in overrides.

    Args:
        server: The URL of the server to ask.
        overrides: The overrides to check.
        force: Whether to accept unknown names.
        warns: Whether to print warnings; not if an answer of the server will contain them.

    Raises:
        typer.Exit: A name is unknown (status 1).
    """
    asked = {one.key.removeprefix(PREFIX): one.value for one in overrides}
    if force or not asked:
        return
    if not listens(server, _TIMEOUT_SECONDS):
        _note(f"names were not checked: no Detour server answers at {server}")
        return
    try:
        checked_by_server = _check(server, asked)
    except RuntimeError as error:
        if not is_unchecked(error):
            raise
        _note(f"names were not checked: {error}")
        return
    found = checked_by_server.mistakes
    for one in found:
        typer.secho(f"detour: {one.detail}", fg=typer.colors.RED, err=True)
    if warns or found:
        print_warnings(one.detail for one in checked_by_server.warnings)
    if found:
        typer.echo("If it does not exist yet, use --force.", err=True)
        raise typer.Exit(1)


def print_warnings(warnings: Iterable[str]) -> None:
    """Print on standard error what overrides do not affect."""
    for one in warnings:
        _note(one)


def advice(server: str, service: str) -> str:
    """Return a warning if the mesh has no such service; empty if it has, or if no server answers."""
    asked = {f"{Kind.DELAY}.{service}": "1ms"}
    try:
        found = _check(server, asked).mistakes
    except RuntimeError:
        return ""
    if not found:
        return ""
    nearest = found[0].suggestion.partition("=")[0].removeprefix(f"{Kind.DELAY}.")
    hint = f"; did you mean {nearest}?" if nearest else "."
    return f"The mesh has no service {service}{hint} This sidecar runs, but no service can call it by that name"


def _check(server: str, asked: dict[str, str]) -> "CheckOut":
    from detour.client import CheckIn  # noqa: PLC0415  slow to import

    with connected(server, timeout_seconds=_TIMEOUT_SECONDS, is_patient=False) as client:
        return client.check_overrides(checked(CheckIn, overrides=asked))


def _note(words: str) -> None:
    typer.secho(f"detour: {words}", fg=typer.colors.YELLOW, err=True)
