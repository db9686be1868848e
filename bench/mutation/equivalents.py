"""Reviewed mutants that no test can notice: `equivalents.toml`, each with the reason.

An entry names its module, the line's text and the change, and so holds when lines are added elsewhere.
"""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from bench.mutation.mutants import Mutant

_FILE: Final = Path(__file__).with_name("equivalents.toml")

Key = tuple[str, str, str]


def equivalents(path: Path = _FILE) -> Mapping[Key, str]:
    """Return the reasons by what the mutants are known by.

    Raises:
        ValueError: An entry lacks something.
    """
    found: dict[Key, str] = {}
    for module, rows in tomllib.loads(path.read_text()).items():
        for row in rows:
            if set(row) != {"line", "change", "reason"} or not all(row.values()):
                raise ValueError(
                    f"{path.name}: an entry of {module} needs line, change and reason, and nothing else"
                )
            found[module, row["line"], row["change"]] = row["reason"]
    return found


def stale(known: Iterable[Key], mutants: Iterable[Mutant]) -> list[Key]:
    """Return the entries of modules with these mutants that fit none of them."""
    there = {mutant.key for mutant in mutants}
    modules = {name for name, _, _ in there}
    return [key for key in known if key[0] in modules and key not in there]
