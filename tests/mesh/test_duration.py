"""Spans of time as people write them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detour.mesh import parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("250ms", timedelta(milliseconds=250)),
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("24h", timedelta(days=1)),
        ("7d", timedelta(days=7)),
        ("36500d", timedelta(days=36_500)),
        ("1ms", timedelta(microseconds=1000)),
        ("999999999999ms", timedelta(days=11574, seconds=6399, milliseconds=999)),
        ("007m", timedelta(minutes=7)),
    ],
)
def test_a_number_and_a_unit_are_a_duration(text, duration):
    """Milliseconds to days."""
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["", "5", "s", "5 s", "1.5h", "-1s", "5S", "5w", "٣s", "5s\n", "1h30m", "0" * 12 + "1s"]
)
def test_anything_else_is_refused_with_examples(text):
    """The message shows what is meant."""
    with pytest.raises(ValueError, match="expected") as raised:
        parse_duration(text)
    assert str(raised.value) == "expected a whole number and a unit, such as 250ms, 5s, 30m, 24h or 7d"


@pytest.mark.parametrize("text", ["0s", "000ms", "36501d", "999999999999d", "999999999999h"])
def test_zero_and_the_absurdly_long_are_refused(text):
    """No timeout of zero, which Envoy takes for none, and no expiry beyond the calendar."""
    with pytest.raises(ValueError, match=r"^expected a duration longer than zero, and at most 36500d$"):
        parse_duration(text)


@given(st.from_regex(r"[0-9]{1,13}(ms|s|m|h|d)", fullmatch=True))
def test_what_is_accepted_can_be_added_to_a_date(text):
    """An accepted duration never overflows."""
    try:
        duration = parse_duration(text)
    except ValueError:
        return
    assert datetime(2026, 1, 1, tzinfo=UTC) + duration > datetime(2026, 1, 1, tzinfo=UTC)
