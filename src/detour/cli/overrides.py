"""`detour overrides`: the kill switch, which makes the whole mesh ignore overrides."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from detour.cli.connection import AsJson, Server, checked, connected, print_json
from detour.client.server_address import DEFAULT_SERVER

if TYPE_CHECKING:
    from detour.client import SwitchOut


class SwitchPosition(StrEnum):
    """The values of `SwitchState`, for Typer; importing pydantic for `SwitchState` itself would be slow."""

    OFF = "off"
    ON = "on"


NewState = Annotated[SwitchPosition | None, typer.Argument(metavar="off|on", show_default=False, hidden=True)]
Reason = Annotated[str, typer.Option(help="The reason, shown to all whose overrides are ignored.", metavar="TEXT")]


def overrides(
    state: NewState = None, *, reason: Reason = "", server: Server = DEFAULT_SERVER, as_json: AsJson = False
) -> None:
    """Show or change the switch that turns all overrides off.

    Without an argument, the command shows the current state. While overrides are off, the baseline answers every
    request, and responses to requests with overrides say so. Switching needs the role admin. For example: detour
    overrides off --reason "incident 12"
    """
    from detour.client import SwitchIn, SwitchState  # noqa: PLC0415  slow to import

    with connected(server) as client:
        if state is None:
            found = client.get_switch()
        else:
            found = client.set_switch(checked(SwitchIn, state=SwitchState(state), reason=reason))
    if as_json:
        print_json(found)
        return
    is_off = found.state is SwitchState.OFF
    what, color = ("Overrides are switched off", "red") if is_off else ("Overrides are on", "green")
    typer.secho(what, fg=color, nl=False)
    who = sentence(found)
    typer.echo(f" {who}" if is_off else f" (switched on {who})" if who else "")


def sentence(found: "SwitchOut") -> str:
    """Return who switched overrides last, when and why; empty if the switch was never used."""
    if not found.by or found.since is None:
        return ""
    reason = f": {found.reason}" if found.reason else ""
    return f"by {found.by} on {found.since:%Y-%m-%d at %H:%M} UTC{reason}"
