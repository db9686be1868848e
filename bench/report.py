"""Results: one row a number, shown as a table and kept as JSON.

Invariant: a result holds what was measured and on what kind of machine, and nothing that says whose it is.
"""

import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from detour.envoy import find_envoy

_COLOURS: Final = {"met": "green", "missed": "red", "skipped": "yellow"}


@dataclass(frozen=True, slots=True)
class Row:
    """One measured number.

    Args:
        what: What it is, in the words of the target.
        value: The number that the verdict is about; None if it could not be measured.
        unit: Of `value` and `at_most`.
        at_most: The target; None for a number that only informs.
        more: Other numbers of the same measurement, by name.
        note: What a reader must know to believe the number, or why there is none.
    """

    what: str
    value: float | None
    unit: str = ""
    at_most: float | None = None
    more: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def verdict(self) -> str:
        """`met`, `missed`, `skipped`, or `informs` without a target."""
        if self.value is None:
            return "skipped"
        if self.at_most is None:
            return "informs"
        return "met" if self.value <= self.at_most else "missed"


def skipped(what: str, why: str) -> Row:
    """Return the row of a number that could not be measured."""
    return Row(what, None, note=why)


def show(rows: Iterable[Row]) -> None:
    """Print rows as a table."""
    table = Table("what", "target", "measured", "verdict", title="Detour's benchmark", title_justify="left")
    for row in rows:
        verdict = row.verdict
        target = "" if row.at_most is None else f"{_text(row.at_most)} {row.unit}".strip()
        table.add_row(row.what, target, _measured(row), verdict, style=_COLOURS.get(verdict, ""))
    Console().print(table)


def _measured(row: Row) -> str:
    value = "" if row.value is None else f"{_text(row.value)} {row.unit}".strip()
    more = ", ".join(f"{name} {_text(number)}" for name, number in row.more.items())
    return "\n".join(filter(None, (value, more, row.note)))


def _text(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) or abs(number) >= 1000 else f"{number:.3f}"


def write(folder: Path, name: str, rows: Sequence[Row]) -> Path:
    """Keep rows as `<name>.json`; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    results = [{**asdict(row), "verdict": row.verdict} for row in rows]
    file = folder / f"{name}.json"
    file.write_text(json.dumps({**_circumstances(), "results": results}, indent=2) + "\n", encoding="utf-8")
    return file


def _circumstances() -> dict[str, Any]:
    version = subprocess.run([find_envoy(), "--version"], capture_output=True, text=True, timeout=10, check=True)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "envoy": version.stdout.strip().rpartition("version: ")[2],
        "cores": os.cpu_count(),
    }
