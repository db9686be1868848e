"""Mistakes in a mesh file, in words that help its author to correct them."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

Place = tuple[str | int, ...]
"""The keys and list indices that lead from the top of a document to a value."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_QUOTED_MAX = 60


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing that is wrong.

    Args:
        line: The line, counted from 1; 0 for the file as a whole.
        text: What is wrong, and what was expected, on one line.
    """

    line: int
    text: str

    @staticmethod
    def at(place: Place, line: int, text: str) -> "Mistake":
        """Put the path of the place before the text."""
        return Mistake(line, f"{path_of(place)}: {text}" if place else text)


class MeshFileError(ValueError):
    """A mesh file is unreadable or invalid; as text, one line for each mistake."""

    def __init__(self, file: Path, mistakes: Iterable[Mistake]) -> None:
        super().__init__("\n".join(_line_of(file, one) for one in sorted(mistakes)))


def _line_of(file: Path, mistake: Mistake) -> str:
    return f"{file}:{mistake.line}: {mistake.text}" if mistake.line else f"{file}: {mistake.text}"


def path_of(place: Place) -> str:
    """Return the path of a place: `services.users.endpoints[0]`."""
    text = "".join(_step(part) for part in place)
    return text.removeprefix(".")


def _step(part: str | int) -> str:
    if isinstance(part, str) and _PLAIN_KEY.fullmatch(part):
        return f".{part}"
    return f"[{json.dumps(part)}]"


def got(value: object) -> str:
    """Return a value of a document as its author wrote it."""
    match value:
        case None:
            return "nothing"
        case str():
            quoted = json.dumps(value, ensure_ascii=False)
            return quoted if len(quoted) <= _QUOTED_MAX else quoted[: _QUOTED_MAX - 3] + "..."
        case list():
            return "a list"
        case _:
            return "a mapping"
