"""`detour curl`: an ordinary curl with the header added."""

import os
import re
import shutil
from typing import Annotated

import typer

from detour.cli.client import DEFAULT_SERVER, ENVIRONMENT
from detour.cli.header import token_line
from detour.cli.scenario import baggage_of
from detour.overrides import Overrides, append_to_baggage, parse_baggage, parse_words

Arguments = Annotated[list[str], typer.Argument(metavar="ARGUMENT", hidden=True)]

_HEADER_OPTION = re.compile(r"-[A-Za-z0-9#:]*H|--header")
"""curl lets one-letter options stand together: -sH."""

_SCENARIO_OPTIONS = ("-s", "--scenario")
_SIGNED_OPTION = "--signed"
_TOKEN_TTL = "1m"  # noqa: S105  no secret
"""Long enough for one request, and for clocks that differ."""
_HEADER_IN_ONE = re.compile(r"-H\s*baggage:", re.IGNORECASE)


def curl(arguments: Arguments) -> None:
    """Run curl with overrides added to the request.

    \b
    detour curl users=pr-42 -- http://127.0.0.1:8000/
    detour curl users=pr-42 delay.payments=300ms -- -i -X POST http://127.0.0.1:8000/rides
    detour curl -s checkout-redesign -- http://127.0.0.1:8000/
    detour curl --signed users=pr-42 -- https://staging.example.test/

    Overrides stand before the --, as in detour header, and scenarios behind -s; what stands behind it is curl's
    own, and so is the exit status. A baggage header that is given to curl is appended to. An edge takes overrides
    out of requests from outside, unless they bring a token: --signed adds one, good for a minute. Scenarios and
    tokens are asked of the server that DETOUR_SERVER names.
    """  # noqa: D301  a real \b, which keeps the lines that follow as they are
    names, is_signed, arguments = _options(arguments)
    words, rest = _split(arguments, is_enough=bool(names))
    program = shutil.which("curl")
    if program is None:
        raise RuntimeError("curl is missing: install it (apt-get install curl), or use detour header")
    rest, baggage = _without_baggage(rest)
    overrides = parse_words(words).over(_resolved(names))
    header = append_to_baggage(",".join(baggage), overrides)
    token = ["-H", token_line(_server(), _TOKEN_TTL)] if is_signed else []
    os.execv(program, [program, "-H", f"baggage: {header}", *token, *rest])  # noqa: S606  replaced by curl, by design


def _options(arguments: list[str]) -> tuple[list[str], bool, list[str]]:
    """Take the options of this command from the front: scenarios, and whether a token is wanted."""
    names: list[str] = []
    is_signed = False
    while len(arguments) > 1:
        if arguments[0] in _SCENARIO_OPTIONS:
            names.append(arguments[1])
            arguments = arguments[2:]
        elif arguments[0] == _SIGNED_OPTION:
            is_signed = True
            arguments = arguments[1:]
        else:
            break
    return names, is_signed, arguments


def _server() -> str:
    return os.environ.get(ENVIRONMENT) or DEFAULT_SERVER


def _resolved(names: list[str]) -> Overrides:
    """Return the overrides of scenarios; of two that say something of one thing the later one counts."""
    overrides = Overrides()
    for name in names:
        overrides = parse_baggage([baggage_of(_server(), name)]).overrides.over(overrides)
    return overrides


def _split(arguments: list[str], *, is_enough: bool) -> tuple[list[str], list[str]]:
    """Take overrides from the front; whatever looks like none belongs to curl."""
    for index, argument in enumerate(arguments):
        is_end = argument == "--"
        if is_end or argument.startswith("-") or "://" in argument or "=" not in argument:
            return _expect_some(arguments[:index], is_enough=is_enough), arguments[index + is_end :]
    raise ValueError("what should curl get? Put a URL behind the overrides: detour curl users=pr-42 -- URL")


def _expect_some(words: list[str], *, is_enough: bool) -> list[str]:
    if not words and not is_enough:
        raise ValueError("which overrides? Put them first: detour curl users=pr-42 -- URL")
    return words


def _without_baggage(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Take baggage headers out of curl's arguments; return the others, and the baggage."""
    rest: list[str] = []
    found: list[str] = []
    for argument in arguments:
        is_value = bool(rest) and _HEADER_OPTION.fullmatch(rest[-1]) is not None
        if is_value and argument.lower().startswith("baggage:"):
            found.append(argument.partition(":")[2].strip())
            rest[-1:] = _without_h(rest[-1])
        elif _HEADER_IN_ONE.match(argument):
            found.append(argument.partition(":")[2].strip())
        else:
            rest.append(argument)
    return rest, found


def _without_h(option: str) -> list[str]:
    others = "" if option == "--header" else option.removesuffix("H")
    return [others] if len(others) > 1 else []
