"""Commands that have subcommands, and the options that several of them share."""

from typing import Annotated

import typer

Force = Annotated[bool, typer.Option("--force", help="Act even if it belongs to another person.")]
MissingOk = Annotated[bool, typer.Option("--missing-ok", help="Succeed even if it does not exist.")]


def group(text: str) -> typer.Typer:
    """Return a command with subcommands; without one it prints its help.

    Args:
        text: The first line of its help.
    """
    return typer.Typer(rich_markup_mode=None, help=text, callback=_show_help, invoke_without_command=True)


def _show_help(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
