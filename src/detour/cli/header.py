"""`detour header`: the header that carries the overrides."""

from typing import Annotated

import typer

from detour.overrides import append_to_baggage, parse_words

Words = Annotated[
    list[str],
    typer.Argument(help="Overrides: users=pr-42, delay.payments=300ms, missing=baseline ...", show_default=False),
]


def header(
    words: Words,
    append_to: Annotated[str, typer.Option(help="Baggage to append to.", metavar="BAGGAGE")] = "",
) -> None:
    """Print the header that carries these overrides, ready for `curl -H`."""
    typer.echo(f"baggage: {append_to_baggage(append_to or None, parse_words(words))}")
