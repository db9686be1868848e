"""`detour curl`: an ordinary curl with the header added."""

import os
import shutil
from typing import Annotated

import typer

from detour.overrides import append_to_baggage, parse_words

Arguments = Annotated[
    list[str],
    typer.Argument(
        help="Overrides, then -- and what curl is to get: users=pr-42 -- -i http://127.0.0.1:8000/",
        show_default=False,
    ),
]


def curl(context: typer.Context, arguments: Arguments) -> None:
    """Run curl with the overrides given before the --; a baggage header of your own is appended to."""
    del context
    words, rest = _split(arguments)
    program = shutil.which("curl")
    if program is None:
        raise RuntimeError("curl is missing: install it (apt-get install curl), or use `detour header`")
    rest, baggage = _without_baggage(rest)
    header = append_to_baggage(baggage or None, parse_words(words))
    os.execv(program, [program, "-H", f"baggage: {header}", *rest])  # noqa: S606  replaced by curl, by design


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Take overrides from the front; whatever looks like none belongs to curl."""
    for index, argument in enumerate(arguments):
        if argument == "--":
            return arguments[:index], arguments[index + 1 :]
        if argument.startswith("-") or "://" in argument or "=" not in argument:
            return arguments[:index], arguments[index:]
    raise ValueError("what should curl get? Put a URL behind the overrides: detour curl users=pr-42 -- URL")


def _without_baggage(arguments: list[str]) -> tuple[list[str], str]:
    rest: list[str] = []
    found = []
    waiting = iter(arguments)
    for argument in waiting:
        following = next(waiting, None) if argument in {"-H", "--header"} else None
        if following is not None and following.lower().startswith("baggage:"):
            found.append(following.partition(":")[2].strip())
        else:
            rest += [argument] if following is None else [argument, following]
    return rest, ",".join(found)
