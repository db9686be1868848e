"""How many mutants of each module the tests noticed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Score:
    """What came of a module's mutants.

    Args:
        module: Its name.
        mutants: How many it has.
        tried: How many of them were tried.
        equivalent: How many of these no test can notice, by review.
        killed: How many of the others a test noticed.
    """

    module: str
    mutants: int
    tried: int
    equivalent: int
    killed: int

    @property
    def survived(self) -> int:
        """How many no test noticed."""
        return self.tried - self.equivalent - self.killed

    @property
    def share(self) -> float:
        """How many of those that can be noticed are, from 0 to 1."""
        counted = self.tried - self.equivalent
        return self.killed / counted if counted else 1.0

    def row(self) -> Mapping[str, object]:
        """Return it as it is written."""
        return {**asdict(self), "survived": self.survived, "score": round(self.share, 3)}


def total(scores: Iterable[Score]) -> Score:
    """Return the sum."""
    found = list(scores)
    return Score(
        "total",
        sum(one.mutants for one in found),
        sum(one.tried for one in found),
        sum(one.equivalent for one in found),
        sum(one.killed for one in found),
    )


def show(scores: Sequence[Score]) -> None:
    """Print a table."""
    table = Table(box=None, header_style="bold")
    for name in ("module", "mutants", "tried", "equivalent", "killed", "survived", "score"):
        table.add_column(name, justify="left" if name == "module" else "right")
    for one in [*scores, total(scores)]:
        counts = (one.mutants, one.tried, one.equivalent, one.killed, one.survived)
        table.add_row(one.module, *map(str, counts), f"{one.share:.0%}")
    Console(width=100).print(table)


def write(path: Path, seed: int, scores: Sequence[Score]) -> None:
    """Write the results as JSON."""
    rows = [one.row() for one in [*scores, total(scores)]]
    path.write_text(json.dumps({"seed": seed, "modules": rows}, indent=2) + "\n")
