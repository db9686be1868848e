"""`detour overrides`: the kill switch, which has the whole mesh ignore overrides."""

import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from detour.cli.client import DEFAULT_SERVER, AsJson, Server, request


class State(StrEnum):
    """What overrides can be."""

    OFF = "off"
    ON = "on"


Wanted = Annotated[State | None, typer.Argument(metavar="[off|on]", show_default=False, hidden=True)]
Reason = Annotated[str, typer.Option(help="Why, for everybody whose overrides are ignored.", metavar="TEXT")]


def overrides(
    state: Wanted = None, *, reason: Reason = "", server: Server = DEFAULT_SERVER, as_json: AsJson = False
) -> None:
    """Switch all overrides and scenarios off, or on again; without a word, say whether they count.

    While they are off, every request is the baseline's, and responses to requests with overrides say so. It takes
    an admin. For example: detour overrides off --reason "incident 12"
    """
    if state is None:
        found = request(server, "GET", "/v1/overrides")
    else:
        found = request(server, "PUT", "/v1/overrides", {"state": state.value, "reason": reason})
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    is_off = found["state"] == "off"
    what, color = ("Overrides are switched off", "red") if is_off else ("Overrides count", "green")
    typer.secho(what, fg=color, nl=False)
    said = sentence(found)
    typer.echo(f" {said}" if is_off else f" (switched on {said})" if said else "")


def sentence(found: dict[str, Any]) -> str:
    """Say who has switched overrides, when and why; nothing if nobody ever did."""
    if not found["by"]:
        return ""
    reason = f", because: {found['reason']}" if found["reason"] else ""
    return f"by {found['by']} on {found['since'][:16].replace('T', ' at ')} UTC{reason}"
