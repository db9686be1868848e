"""Runs curl, and reads the headers of its responses.

Invariant: curl's input, output and options stay as they are. The headers come from an extra file that curl writes:
`--dump-header`, or `--trace-ascii` if the person uses the former already.
"""

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from detour.cli.signals import child_handles_interrupt

_WITH_VALUE: Final = "AbcCdDeEFHhKmoPQrtTuUwxXyYzZ"
_DUMP: Final = re.compile(r"--dump-header(?:=.*)?|-[a-zA-Z0-9#:]*D.*", re.DOTALL)
_TRACE: Final = re.compile(r"--(?:trace(?:-ascii)?|verbose)(?:=.*)?|-[a-zA-Z0-9#:]*v")
_FIRST: Final = ("-q", "--disable")
_NEXT: Final = ("--next", "-:")
_STATUS: Final = re.compile(r"HTTP/[0-9.]+ [0-9]{3}")

Headers = dict[str, str]


@dataclass(frozen=True, slots=True)
class Done:
    """The result of running curl.

    Args:
        status: Its exit status; negative if a signal ended it.
        answers: The headers of each response, redirects included, with names in lower case.
        is_read: Whether the headers could be read.
    """

    status: int
    answers: tuple[Headers, ...] = ()
    is_read: bool = True


def run(program: str, added: Sequence[str], arguments: Sequence[str]) -> Done:
    """Run curl.

    Args:
        program: The path of curl.
        added: Options to add to each operation (`--next` begins another one).
        arguments: The person's arguments.
    """
    with ExitStack() as stack:
        command, files = [program], list[Path | None]()
        for position, operation in enumerate(_operations(arguments)):
            file = Path(stack.enter_context(tempfile.NamedTemporaryFile(prefix="detour-curl-")).name)
            reading = _reading(operation, file)
            files.append(file if reading else None)
            first = [one for one in operation[:1] if one in _FIRST and position == 0]
            command += [*(["--next"] if position else []), *first, *added, *reading, *operation[len(first) :]]
        with child_handles_interrupt():
            status = subprocess.run(command, check=False).returncode  # noqa: S603  the person's own command
        answers = tuple(answer for file in files if file for answer in _answers(file))
    return Done(status, answers, all(files))


def is_silent(arguments: Sequence[str]) -> bool:
    """Return whether curl is to print no messages (`-s` without `-S`)."""
    letters = "".join(one[1:] for one in arguments if re.fullmatch(r"-[A-Za-z#]+", one))
    silent = "s" in letters or "--silent" in arguments
    return silent and not ("S" in letters or "--show-error" in arguments)


def _operations(arguments: Sequence[str]) -> Iterator[list[str]]:
    found: list[str] = []
    for one in arguments:
        if one in _NEXT:
            yield found
            found = []
        else:
            found.append(one)
    yield found


def _reading(operation: Sequence[str], file: Path) -> list[str]:
    """Return options that make curl write response headers to a file; none if the person uses both already."""
    if not any(_is_option(operation, index, _DUMP) for index in range(len(operation))):
        return ["--dump-header", str(file)]
    if not any(_is_option(operation, index, _TRACE) for index in range(len(operation))):
        return ["--trace-ascii", str(file)]
    return []


def _is_option(operation: Sequence[str], index: int, wanted: re.Pattern[str]) -> bool:
    before = operation[index - 1] if index else ""
    is_value = re.fullmatch(rf"-[a-zA-Z0-9#:]*[{_WITH_VALUE}]", before) is not None
    match = None if is_value else wanted.fullmatch(operation[index])
    if match is None or operation[index].startswith("--"):
        return match is not None
    # A letter that takes a value is followed by that value.
    letters = operation[index][1:]
    end = next((at for at, letter in enumerate(letters) if letter in _WITH_VALUE), len(letters))
    return any(letter in "Dv" for letter in letters[: end + 1])


def _answers(file: Path) -> Iterator[Headers]:
    found: Headers | None = None
    for line in file.read_text(encoding="latin-1").splitlines():
        # Each line of a trace begins with an offset.
        text = re.sub(r"^[0-9a-f]{4,}: ", "", line)
        if _STATUS.match(text):
            if found is not None:
                yield found
            found = {}
        elif found is not None and not text.startswith(("<=", "=>", "==")):
            name, colon, value = text.partition(":")
            if colon and re.fullmatch(r"[A-Za-z0-9-]+", name):
                found[name.lower()] = value.strip()
    if found is not None:
        yield found
