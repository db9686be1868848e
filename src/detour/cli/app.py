"""Registers all commands and reports their errors."""

import sys
from typing import Annotated

import typer

from detour import __version__
from detour.cli import (
    bootstrap,
    curl,
    demo,
    edge,
    header,
    inject,
    install,
    login,
    offload,
    outcome,
    overrides,
    redirect,
    scenario,
    serve,
    sidecar,
    status,
    token,
)

app = typer.Typer(
    # Plain text: Rich would interpret square brackets as markup.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("serve", context_settings={"allow_extra_args": True})(serve.serve)
app.command("sidecar")(sidecar.sidecar)
app.command("edge")(edge.edge)
app.command("bootstrap")(bootstrap.bootstrap)
app.add_typer(offload.app, name="offload")
app.add_typer(scenario.app, name="scenario")
app.command("overrides")(overrides.overrides)
app.command("header")(header.header)
# Arguments after the first one belong to curl, even if they look like options of this command.
app.command("curl", context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True})(curl.curl)
app.command("login")(login.login)
app.command("logout")(login.logout)
app.add_typer(token.app, name="token")
app.command("install")(install.install)
app.command("uninstall")(install.uninstall)
app.command("inject")(inject.inject)
app.command("redirect")(redirect.redirect)
app.command("status")(status.status)
app.command("demo")(demo.demo)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"detour {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def detour(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Send single requests to a deployment under test, in a shared mesh.

    To see how it works, run detour demo. To run a mesh, start detour serve --mesh FILE, then detour sidecar beside
    each instance and detour edge. To run it in Kubernetes, start with detour install.
    """
    del version
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line; any error ends it with one line and status 2."""
    outcome.prepare_streams()
    try:
        outcome.expect_text(sys.argv)
        # Calling `app` itself would also install Typer's hook for uncaught exceptions. While a process ends, that
        # hook fails itself ("Error in sys.excepthook") and hides the error.
        status = typer.main.get_command(app)(prog_name="detour", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        context: typer.Context | None = getattr(error, "ctx", None)
        command = context.command_path if context else "detour"
        outcome.fail(f"{error.format_message().rstrip('.')} (see {command} --help)")
    except Exception as error:  # noqa: BLE001  people get a line, not a traceback
        outcome.fail_with(error)
    sys.exit(status)
