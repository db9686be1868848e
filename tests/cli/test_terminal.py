"""What is printed for people."""

from datetime import UTC, datetime, timedelta

import pytest

from detour.cli.terminal import until


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (timedelta(days=30), "in 30 d"),
        (timedelta(days=1, hours=2, minutes=30), "in 1 d 2 h"),
        (timedelta(days=1, minutes=30), "in 1 d"),
        (timedelta(hours=24), "in 1 d"),
        (timedelta(hours=23, minutes=59), "in 23 h 59 min"),
        (timedelta(minutes=12, seconds=30), "in 12 min 30 s"),
        (timedelta(seconds=9), "in 9 s"),
        (timedelta(), "has expired"),
    ],
)
def test_how_long_it_is_until_then(left, told, monkeypatch):
    """In two units, of what has been asked for and not a moment less."""
    now = datetime.now(UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return now + timedelta(milliseconds=300 if left else 0)

    monkeypatch.setattr("detour.cli.terminal.datetime", Clock)
    assert until(now + left) == told


def test_what_never_ends():
    """Has no end."""
    assert until(None) == "never"
