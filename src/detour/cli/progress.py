"""Waiting for an offloaded deployment, with its progress on standard error."""

import time
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

import typer

from detour.cli.client import request

_ASK_SECONDS: Final = 0.25


def wait_until_ready(server: str, service: str, name: str, patience: timedelta, *, keep: bool) -> None:
    """Show how a deployment comes on until it is Ready.

    If it fails, or does not become Ready in time, the reason is printed and the change is taken back, unless it is
    to be kept.

    Raises:
        typer.Exit: It did not become Ready (status 1).
        RuntimeError: The server can't be asked.
    """
    path = f"/v1/deployments/{quote(service, safe='')}/{quote(name, safe='')}"
    deadline, told = time.monotonic() + patience.total_seconds(), ""
    while True:
        progress = request(server, "GET", path)["progress"] or {"state": "waiting", "step": "waiting for it"}
        if progress["state"] == "ready":
            return
        is_late = time.monotonic() > deadline
        if progress["state"] == "failed" or is_late:
            why = f"not Ready within {patience}: " if is_late else ""
            _tell(f"{service}@{name}", f"{why}{progress['step']}", progress)
            _take_back(server, path, keep=keep)
            raise typer.Exit(1)
        if progress["step"] != told:
            told = progress["step"]
            typer.echo(f"{service}@{name}: {told}", err=True)
        time.sleep(_ASK_SECONDS)


def _tell(what: str, why: str, progress: dict[str, Any]) -> None:
    typer.secho(f"{what} has failed. {why}", fg=typer.colors.RED, err=True)
    for title, lines in (("Kubernetes says:", progress.get("events")), ("Its last lines:", progress.get("log"))):
        if lines:
            typer.echo(title, err=True)
        for line in lines or ():
            typer.echo(f"  {line}", err=True)


def _take_back(server: str, path: str, *, keep: bool) -> None:
    if keep:
        typer.echo("It is left as it is (--keep).", err=True)
        return
    done = request(server, "POST", f"{path}/undo")["what"]
    typer.echo(f"Nothing is left of it: {done}. To look at it longer, give --keep.", err=True)
