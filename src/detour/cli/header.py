"""`detour header`: the header that carries the overrides, and the one with which they count at an edge."""

from typing import Annotated

import typer

from detour.cli import completion
from detour.cli.checking import Force, expect_known
from detour.cli.connection import Server, checked, connected
from detour.client.server_address import DEFAULT_SERVER
from detour.overrides import append_to_baggage, parse_words

Words = Annotated[list[str], typer.Argument(metavar="OVERRIDE", hidden=True, autocompletion=completion.overrides)]


Signed = Annotated[
    bool, typer.Option("--signed", help="Print a token as well, with which they count at an edge for 15 minutes.")
]


def header(
    words: Words,
    append_to: Annotated[str, typer.Option(help="Baggage to append to.", metavar="BAGGAGE")] = "",
    *,
    signed: Signed = False,
    force: Force = False,
    server: Server = DEFAULT_SERVER,
) -> None:
    """Print the header that carries overrides.

    \b
    users=pr-42              calls to users go to its deployment pr-42
    delay.payments=300ms     calls to payments are held that long first
    abort.payments=503       calls to payments fail with that status
    missing=baseline         a deployment that is gone falls back to the baseline
    config.new-checkout=on   the flag has that value for this request
    log.users=debug          users logs this request at that level
    db.users=copy            users works on that one of its own databases

    For example: curl -H "$(detour header users=pr-42)" http://127.0.0.1:8000/

    An edge takes overrides out of requests from outside that bring no token; --signed asks the server for one, and
    prints its header on a line of its own:

    detour header --signed users=pr-42 | curl -H @- https://staging.example.test/
    """  # noqa: D301  a real \b, which keeps the lines that follow as they are
    overrides = parse_words(words)
    token = [token_line(server)] if signed else []
    expect_known(server, overrides, force=force)
    line = f"baggage: {append_to_baggage(append_to or None, overrides)}"
    for one in (line, *token):
        typer.echo(one)


def token_line(server: str, ttl: str = "15m") -> str:
    """Return the header with which a request's overrides count at an edge, asked of a server.

    Args:
        server: Its URL.
        ttl: How long it is good for.

    Raises:
        ClientError: The server does not answer, or refuses; the message is for people.
    """
    from detour.client import OverrideTokenIn  # noqa: PLC0415  which other commands need not wait for

    with connected(server) as client:
        issued = client.issue_override_token(checked(OverrideTokenIn, ttl=ttl))
    return f"{issued.header}: {issued.token}"
