"""`detour header`: prints the header that carries overrides, and the token with which an edge accepts them."""

from typing import Annotated

import typer

from detour.cli import completion
from detour.cli.checking import Force, expect_known
from detour.cli.connection import Server, checked, connected
from detour.client.server_address import DEFAULT_SERVER
from detour.overrides import append_to_baggage, parse_words

Words = Annotated[list[str], typer.Argument(metavar="OVERRIDE", hidden=True, autocompletion=completion.overrides)]
Signed = Annotated[
    bool, typer.Option("--signed", help="Also print a token; with it an edge accepts the overrides for 15 minutes.")
]


def header(
    words: Words,
    append_to: Annotated[
        str, typer.Option(help="The value of a baggage header to append to.", metavar="BAGGAGE")
    ] = "",
    *,
    signed: Signed = False,
    force: Force = False,
    server: Server = DEFAULT_SERVER,
) -> None:
    """Print the header that carries overrides.

    \b
    users=pr-42              send calls to users to its deployment pr-42
    delay.payments=300ms     delay calls to payments
    abort.payments=503       fail calls to payments with that status
    missing=baseline         use the baseline if a deployment does not exist
    config.new-checkout=on   set the flag for this request
    log.users=debug          set the log level of users for this request
    db.users=copy            have users use another of its databases

    For example: curl -H "$(detour header users=pr-42)" http://127.0.0.1:8000/

    An edge removes overrides from requests without a token. --signed gets a token from the server and prints its
    header on a second line:

    detour header --signed users=pr-42 | curl -H @- https://staging.example.test/
    """  # noqa: D301  a real \b, which keeps the lines that follow as they are
    overrides = parse_words(words)
    token = [token_line(server)] if signed else []
    expect_known(server, overrides, force=force)
    line = f"baggage: {append_to_baggage(append_to or None, overrides)}"
    for one in (line, *token):
        typer.echo(one)


def token_line(server: str, ttl: str = "15m") -> str:
    """Get a token from a server, and return the header with which an edge accepts a request's overrides.

    Args:
        server: The server's URL.
        ttl: How long the token is valid.

    Raises:
        ClientError: The server does not answer or refuses the request; the message is for people.
    """
    from detour.client import OverrideTokenIn  # noqa: PLC0415  slow to import

    with connected(server) as client:
        issued = client.issue_override_token(checked(OverrideTokenIn, ttl=ttl))
    return f"{issued.header}: {issued.token}"
