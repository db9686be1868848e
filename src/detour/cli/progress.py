"""Waits until an offloaded deployment is Ready, and shows its progress on standard error."""

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from detour.client import Client, ProgressOut

_ASK_SECONDS: Final = 0.25


def wait_until_ready(client: "Client", service: str, name: str, patience: timedelta, *, keep: bool) -> None:
    """Show the progress of a deployment until it is Ready.

    If it fails, or is not Ready in time, print the reason and undo the change, unless `keep` is set.

    Raises:
        typer.Exit: It did not become Ready (status 1).
        ClientError: The server does not answer or refuses a request.
    """
    from detour.client import ProgressState  # noqa: PLC0415  slow to import

    deadline, shown = time.monotonic() + patience.total_seconds(), ""
    while True:
        progress = client.get_deployment(service, name).progress
        if progress and progress.state is ProgressState.READY:
            return
        step = progress.step if progress else "waiting for the server to report progress"
        is_late = time.monotonic() > deadline
        if is_late or (progress and progress.state is ProgressState.FAILED):
            why = f"not Ready within {patience}: " if is_late else ""
            _explain(f"{service}@{name}", f"{why}{step}", progress)
            _undo(client, service, name, keep=keep)
            raise typer.Exit(1)
        if step != shown:
            shown = step
            typer.echo(f"{service}@{name}: {step}", err=True)
        time.sleep(_ASK_SECONDS)


def _explain(what: str, why: str, progress: "ProgressOut | None") -> None:
    typer.secho(f"{what} failed: {why}", fg=typer.colors.RED, err=True)
    if progress is None:
        return
    for title, lines in (("Events:", progress.events), ("Last lines of the log:", progress.log)):
        if lines:
            typer.echo(title, err=True)
        for line in lines:
            typer.echo(f"  {line}", err=True)


def _undo(client: "Client", service: str, name: str, *, keep: bool) -> None:
    if keep:
        typer.echo("The deployment was kept (--keep).", err=True)
        return
    done = client.undo_copy(service, name).what
    typer.echo(f"The change was undone: {done}. To keep a failed deployment, use --keep.", err=True)
