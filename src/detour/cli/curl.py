"""`detour curl`: runs curl with the overrides' header added, and reports whether the overrides took effect."""

import re
import shutil
import signal
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from detour.cli import completion, curl_run, outcome
from detour.cli.checking import expect_known
from detour.cli.connection import is_unchecked
from detour.cli.effect import report
from detour.cli.header import token_line
from detour.cli.scenario import baggage_of
from detour.client.server_address import server_of_environment
from detour.envoy.vocabulary import SCENARIO_HEADER
from detour.overrides import Overrides, append_to_baggage, parse_baggage, parse_words

Arguments = Annotated[
    list[str], typer.Argument(metavar="ARGUMENT", hidden=True, autocompletion=completion.overrides)
]

_HEADER_OPTION = re.compile(r"-[A-Za-z0-9#:]*H|--header")
"""curl accepts one-letter options in one argument: -sH."""

_SCENARIO_OPTIONS = ("-s", "--scenario")
_SIGNED_OPTION = "--signed"
_FORCE_OPTION = "--force"
_TOKEN_TTL = "1m"  # noqa: S105  no secret
"""Long enough for one request, and for clock skew."""
_HEADER_IN_ONE = re.compile(r"-H\s*baggage:", re.IGNORECASE)


def curl(arguments: Arguments) -> None:
    """Run curl with overrides added to the request.

    \b
    detour curl users=pr-42 -- http://127.0.0.1:8000/
    detour curl users=pr-42 delay.payments=300ms -- -i -X POST http://127.0.0.1:8000/rides
    detour curl -s checkout-redesign -- http://127.0.0.1:8000/
    detour curl --signed users=pr-42 -- https://staging.example.test/

    Write overrides before the --, as for detour header, and curl's own arguments after it. If these contain a
    baggage header, the overrides are appended to it. The output is curl's own.

    Options, before the overrides:

    \b
    -s, --scenario NAME  enter a scenario; repeatable
    --signed             add a token, valid for a minute; edges remove overrides without one
    --force              accept services and deployments that the mesh does not have yet

    Scenarios, tokens and names come from the server at DETOUR_SERVER (default http://127.0.0.1:15020).

    Standard error reports whether the overrides took effect. If they did not, the exit status is 1; otherwise it
    is curl's.
    """  # noqa: D301  a real \b, which keeps the lines that follow as they are
    chosen, arguments = _options(arguments)
    words, rest = _split(arguments, is_enough=bool(chosen.scenarios))
    program = shutil.which("curl")
    if program is None:
        raise RuntimeError("curl is not installed: install it (apt-get install curl), or use detour header")
    rest, baggage = _without_baggage(rest)
    overrides = parse_words(words)
    token = ["-H", token_line(server_of_environment(), _TOKEN_TTL)] if chosen.is_signed else []
    expect_known(server_of_environment(), overrides, force=chosen.is_forced)
    scenario = chosen.scenarios[0] if len(chosen.scenarios) == 1 else ""
    if scenario:
        _expect_live(scenario)
    else:
        # An edge accepts one scenario; several are combined here.
        overrides = overrides.over(_resolved(chosen.scenarios))
    added = [*_headers(overrides, baggage, scenario), *token]
    done = curl_run.run(program, added, rest)
    if done.status < 0:
        outcome.end_by(signal.Signals(-done.status))
    is_good = report(done, overrides, scenario, is_silent=curl_run.is_silent(rest))
    raise typer.Exit(done.status or (0 if is_good else 1))


@dataclass(frozen=True, slots=True)
class _Chosen:
    scenarios: tuple[str, ...] = ()
    is_signed: bool = False
    is_forced: bool = False


def _headers(overrides: Overrides, baggage: list[str], scenario: str) -> list[str]:
    named = ["-H", f"{SCENARIO_HEADER}: {scenario}"] if scenario else []
    header = append_to_baggage(",".join(baggage), overrides)
    return [*named, *(["-H", f"baggage: {header}"] if header else [])]


def _expect_live(name: str) -> None:
    """Check that a scenario can be entered; if no server answers here, the edge checks it.

    Raises:
        RuntimeError: The scenario does not exist, or has ended.
    """
    try:
        baggage_of(server_of_environment(), name)
    except RuntimeError as error:
        if not is_unchecked(error):
            raise
        typer.secho(f"detour: the scenario was not checked: {error}", fg=typer.colors.YELLOW, err=True)


def _options(arguments: list[str]) -> tuple[_Chosen, list[str]]:
    """Return the options of this command, which come first, and the remaining arguments."""
    chosen = _Chosen()
    while len(arguments) > 1:
        if arguments[0] in _SCENARIO_OPTIONS:
            chosen = replace(chosen, scenarios=(*chosen.scenarios, arguments[1]))
            arguments = arguments[2:]
            continue
        if arguments[0] == _SIGNED_OPTION:
            chosen = replace(chosen, is_signed=True)
        elif arguments[0] == _FORCE_OPTION:
            chosen = replace(chosen, is_forced=True)
        else:
            break
        arguments = arguments[1:]
    return chosen, arguments


def _resolved(names: Iterable[str]) -> Overrides:
    """Return the overrides of scenarios; if two override the same thing, the later one wins."""
    overrides = Overrides()
    for name in names:
        overrides = parse_baggage([baggage_of(server_of_environment(), name)]).overrides.over(overrides)
    return overrides


def _split(arguments: list[str], *, is_enough: bool) -> tuple[list[str], list[str]]:
    """Return the overrides, which come first, and curl's arguments: from the first that is not an override."""
    for index, argument in enumerate(arguments):
        is_end = argument == "--"
        if is_end or argument.startswith("-") or "://" in argument or "=" not in argument:
            return _expect_some(arguments[:index], is_enough=is_enough), arguments[index + is_end :]
    raise ValueError("the URL is missing; write it after the overrides: detour curl users=pr-42 -- URL")


def _expect_some(words: list[str], *, is_enough: bool) -> list[str]:
    if not words and not is_enough:
        raise ValueError("the overrides are missing; write them first: detour curl users=pr-42 -- URL")
    return words


def _without_baggage(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return curl's arguments without baggage headers, and the baggage."""
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
