"""Tables on standard output.

Invariant: cells are data, never markup, and are never truncated: a narrow terminal wraps them, and if standard
output is not a terminal, each row is one line.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from math import ceil

_UNWRAPPED = 100_000
"""A width in which nothing wraps."""

_HOUR = 3600
_UNITS = {"d": 24 * _HOUR, "h": _HOUR, "min": 60, "s": 1}

Cell = str | tuple[str, str]
"""A text, or a text and its style."""


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print rows under a line of column names."""
    # Slow to import, and most commands print no table.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(*cell) if isinstance(cell, tuple) else Text(cell) for cell in row))
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=_UNWRAPPED)
    console.print(table)


def until(moment: datetime | None) -> str:
    """Return in how long something expires."""
    if moment is None:
        return "never"
    left = (moment - datetime.now(UTC)).total_seconds()
    return f"in {_span(left)}" if left > 0 else "has expired"


def _span(seconds: float) -> str:
    """Format a duration in its two largest units, as `30 d` or `23 h 59 min`, rounded up."""
    step = 1 if seconds < _HOUR else 60
    left, parts = ceil(seconds / step) * step, list[str]()
    for unit, length in _UNITS.items():
        count, left = divmod(left, length)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
    return " ".join(part for part in parts[:2] if part)
