"""`detour login` and `detour logout`: who one is to a server."""

import sys
from typing import Annotated

import typer

from detour.cli import credentials, signals
from detour.cli.client import DEFAULT_SERVER, Server, request
from detour.cli.credentials import Credentials
from detour.cli.issuer import sign_in

WithToken = Annotated[
    bool,
    typer.Option("--with-token", help="Sign in with an API token, which is read from standard input or asked for."),
]


def login(*, with_token: WithToken = False, server: Server = DEFAULT_SERVER) -> None:
    """Sign in to a server, with its issuer in a browser or with an API token.

    A server on one's own machine needs none of this. Programs put an API token into DETOUR_TOKEN instead.
    """
    way = request(server, "GET", "/v1/sign-in", signs=False)
    if with_token or not way["issuer"]:
        if not (with_token or way["is_needed"]):
            typer.echo(f"{server} needs no sign-in from this machine")
            return
        found = Credentials(_asked_token())
    else:
        found = sign_in(way)
    _keep(server, found)


def logout(server: Server = DEFAULT_SERVER) -> None:
    """Forget what one has signed in with."""
    typer.echo(f"Signed out of {server}" if credentials.forget(server) else f"Nobody was signed in to {server}")


def _keep(server: str, found: Credentials) -> None:
    """Keep credentials, if the server takes them."""
    me = request(server, "GET", "/v1/me", signs=False, authorization=f"Bearer {found.token}")
    path = credentials.keep(server, found)
    typer.echo(f"Signed in to {server} as {me['name']}, {me['role']}; kept in {path}")


def _asked_token() -> str:
    if sys.stdin.isatty():
        with signals.raised():
            return str(typer.prompt("API token", hide_input=True)).strip()
    token = sys.stdin.readline().strip()
    if not token:
        raise ValueError("standard input has no API token: pipe one to detour login --with-token")
    return token
