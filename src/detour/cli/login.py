"""`detour login` and `detour logout`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from detour.cli import signals
from detour.cli.connection import Server, connected
from detour.client import credentials
from detour.client.credentials import Credentials
from detour.client.server_address import DEFAULT_SERVER

if TYPE_CHECKING:
    from detour.client import Confirm

WithToken = Annotated[
    bool,
    typer.Option("--with-token", help="Sign in with an API token, from a prompt or from standard input."),
]


def login(*, with_token: WithToken = False, server: Server = DEFAULT_SERVER) -> None:
    """Sign in to a server: in a browser, or with an API token.

    A server on your own machine needs no sign-in. Programs set DETOUR_TOKEN to an API token instead.
    """
    from detour.client import sign_in  # noqa: PLC0415  slow to import

    with connected(server, is_signed_in=False) as client:
        way = client.get_sign_in()
    if with_token or not way.issuer:
        if not (with_token or way.is_needed):
            typer.echo(f"{server} needs no sign-in from this machine")
            return
        found = Credentials(_asked_token())
    else:
        found = sign_in(way, _show)
    _keep(server, found)


def logout(server: Server = DEFAULT_SERVER) -> None:
    """Sign out of a server: delete its stored credentials."""
    typer.echo(f"Signed out of {server}" if credentials.forget(server) else f"You were not signed in to {server}")


def _keep(server: str, found: Credentials) -> None:
    """Store credentials, if the server accepts them."""
    with connected(server, token=found.token) as client:
        me = client.get_identity()
    path = credentials.keep(server, found)
    typer.echo(f"Signed in to {server} as {me.name}, {me.role}; credentials are stored in {path}")


def _show(confirm: "Confirm") -> None:
    typer.echo(f"Open {confirm.url} and confirm the code {confirm.code}", err=True)


def _asked_token() -> str:
    if sys.stdin.isatty():
        with signals.interrupt_raises():
            return str(typer.prompt("API token", hide_input=True)).strip()
    token = sys.stdin.readline().strip()
    if not token:
        raise ValueError("standard input is empty: pipe an API token to detour login --with-token")
    return token
