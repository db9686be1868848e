"""`detour header`: the header that carries the overrides."""

from typing import Annotated

import typer

from detour.overrides import append_to_baggage, parse_words

Words = Annotated[list[str], typer.Argument(metavar="OVERRIDE", hidden=True)]


def header(
    words: Words,
    append_to: Annotated[str, typer.Option(help="Baggage to append to.", metavar="BAGGAGE")] = "",
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
    """  # noqa: D301  a real \b, which keeps the lines that follow as they are
    typer.echo(f"baggage: {append_to_baggage(append_to or None, parse_words(words))}")
