"""Durations as people write them: a whole number and a unit."""

import re
from datetime import timedelta

_DURATION = re.compile(r"([0-9]{1,12})(ms|s|m|h|d)")
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_LONGEST = timedelta(days=36_500)


def parse_duration(text: str) -> timedelta:
    """Parse `250ms`, `5s`, `30m`, `24h` or `7d`.

    Raises:
        ValueError: The text has another form, or the duration is zero or exceeds 36500 days, which would overflow
        dates.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("expected a whole number and a unit, such as 250ms, 5s, 30m, 24h or 7d")
    number, unit = int(match[1]), _UNITS[match[2]]
    if not 0 < number <= _LONGEST // unit:
        raise ValueError("expected a duration longer than zero, and at most 36500d")
    return number * unit
