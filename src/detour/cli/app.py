"""The commands put together, and how their errors are told."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from detour import __version__
from detour.cli import bootstrap, curl, demo, edge, header, offload, serve, sidecar, status

app = typer.Typer(
    name="detour",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Opt one request at a time into a deployment under test.",
)
app.command("serve")(serve.serve)
app.command("sidecar")(sidecar.sidecar)
app.command("edge")(edge.edge)
app.command("bootstrap")(bootstrap.bootstrap)
app.add_typer(offload.app, name="offload")
app.command("header")(header.header)
app.command("curl", context_settings={"ignore_unknown_options": True})(curl.curl)
app.command("status")(status.status)
app.command("demo")(demo.demo)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"detour {__version__}")
        raise typer.Exit


@app.callback()
def detour(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Opt one request at a time into a deployment under test."""
    del version


def main() -> None:
    """Run the command line; errors that a person can mend end it with one line and status 2."""
    try:
        app()
    except (OSError, ValueError, LookupError, RuntimeError) as error:
        Console(stderr=True, soft_wrap=True).print(f"detour: {error}", style="red", markup=False, highlight=False)
        sys.exit(2)
