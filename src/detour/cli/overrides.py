"""`detour overrides`: the kill switch, which has the whole mesh ignore overrides."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from detour.cli.connection import AsJson, Server, checked, connected, print_json
from detour.client.server_address import DEFAULT_SERVER

if TYPE_CHECKING:
    from detour.client import SwitchOut


class Wanted(StrEnum):
    """What overrides are to be; `SwitchState`, which Typer can read before pydantic is loaded."""

    OFF = "off"
    ON = "on"


Position = Annotated[Wanted | None, typer.Argument(metavar="[off|on]", show_default=False, hidden=True)]
Reason = Annotated[str, typer.Option(help="Why, for everybody whose overrides are ignored.", metavar="TEXT")]


def overrides(
    state: Position = None, *, reason: Reason = "", server: Server = DEFAULT_SERVER, as_json: AsJson = False
) -> None:
    """Switch all overrides and scenarios off, or on again; without a word, say whether they count.

    While they are off, every request is the baseline's, and responses to requests with overrides say so. It takes
    an admin. For example: detour overrides off --reason "incident 12"
    """
    from detour.client import SwitchIn, SwitchState  # noqa: PLC0415  which other commands need not wait for

    with connected(server) as client:
        if state is None:
            found = client.get_switch()
        else:
            found = client.set_switch(checked(SwitchIn, state=SwitchState(state), reason=reason))
    if as_json:
        print_json(found)
        return
    is_off = found.state is SwitchState.OFF
    what, color = ("Overrides are switched off", "red") if is_off else ("Overrides count", "green")
    typer.secho(what, fg=color, nl=False)
    said = sentence(found)
    typer.echo(f" {said}" if is_off else f" (switched on {said})" if said else "")


def sentence(found: "SwitchOut") -> str:
    """Return who has switched overrides, when and why; empty if the switch was never used."""
    if not found.by or found.since is None:
        return ""
    reason = f", because: {found.reason}" if found.reason else ""
    return f"by {found.by} on {found.since:%Y-%m-%d at %H:%M} UTC{reason}"
