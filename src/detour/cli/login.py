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
    typer.Option("--with-token", help="Sign in with an API token, which is read from standard input or asked for."),
]


def login(*, with_token: WithToken = False, server: Server = DEFAULT_SERVER) -> None:
    """Sign in to a server, with its issuer in a browser or with an API token.

    A server on one's own machine needs none of this. Programs put an API token into DETOUR_TOKEN instead.
    """
    from detour.client import sign_in  # noqa: PLC0415  which other commands need not wait for

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
    """Sign out: forget the credentials for a server."""
    typer.echo(f"Signed out of {server}" if credentials.forget(server) else f"You were not signed in to {server}")


def _keep(server: str, found: Credentials) -> None:
    """Keep credentials, if the server takes them."""
    with connected(server, token=found.token) as client:
        me = client.get_identity()
    path = credentials.keep(server, found)
    typer.echo(f"Signed in to {server} as {me.name}, {me.role}; kept in {path}")


def _show(confirm: "Confirm") -> None:
    typer.echo(f"Open {confirm.url} and confirm the code {confirm.code}", err=True)


def _asked_token() -> str:
    if sys.stdin.isatty():
        with signals.raised():
            return str(typer.prompt("API token", hide_input=True)).strip()
    token = sys.stdin.readline().strip()
    if not token:
        raise ValueError("standard input has no API token: pipe one to detour login --with-token")
    return token
