"""Valid scenarios, and their states."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from detour.overrides import Overrides, parse_words
from detour.scenarios import DESCRIPTION_MAX, OWNER_MAX, Draft, LifecycleState, OutdatedError, Scenario

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
CHECKOUT = Scenario("checkout", 7, parse_words(["users=pr-42"]), "ana", "a checkout", None, NOW, "bo")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"overrides": Overrides()}, "a scenario has at least one override, such as users=pr-42"),
        ({"owner": "a" * 101}, "owner: expected at most 100 characters, got 101"),
        ({"description": "a" * 2001}, "description: expected at most 2000 characters, got 2001"),
        ({"owner": "two\nlines"}, "owner: expected one line, without control characters"),
        ({"description": "a\x00b"}, "description: expected text, without control characters"),
        ({"description": "\ud800"}, "description: expected text, without control characters"),
        (
            {"overrides": parse_words([f"config.f{n}=1" for n in range(65)])},
            "65 overrides in one request, at most 64 are possible",
        ),
        (
            {"overrides": parse_words([f"config.f{n}={'ä' * 200}" for n in range(10)])},
            "the baggage would have 12199 bytes, at most 8192 are possible: drop some entries",
        ),
        (
            {"expires": datetime(2026, 1, 1)},  # noqa: DTZ001  that is the point
            "expires: expected a moment with its time zone, such as 2026-12-01T00:00:00Z",
        ),
    ],
)
def test_invalid_drafts(more: dict[str, object], expected: str) -> None:
    """Values that do not fit into a request, or cannot be shown, are refused; the error says what was expected."""
    with pytest.raises(ValueError, match=r"expected|at least|possible") as raised:
        Draft(**{"overrides": parse_words(["users=pr-42"]), **more})
    assert str(raised.value) == expected


def test_valid_drafts() -> None:
    """Up to the limits; by default only the overrides."""
    assert (OWNER_MAX, DESCRIPTION_MAX) == (100, 2000)
    overrides = parse_words(["users=pr-42"])
    most = Draft(overrides, "ä" * 100, "two\nlines" * 200, datetime(2026, 1, 1, tzinfo=UTC))
    assert (most.owner, most.description, most.expires) == (
        "ä" * 100,
        "two\nlines" * 200,
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert Draft(overrides) == Draft(overrides, "", "", None)


def test_the_state() -> None:
    """Live until the moment of expiry; removed is final."""
    ends = replace(CHECKOUT, expires=NOW)
    assert CHECKOUT.state(NOW) is LifecycleState.LIVE
    assert ends.state(NOW - timedelta(microseconds=1)) is LifecycleState.LIVE
    assert ends.state(NOW) is ends.state(NOW + timedelta(hours=1)) is LifecycleState.EXPIRED
    assert (
        replace(CHECKOUT, is_removed=True).state(NOW)
        is replace(ends, is_removed=True).state(NOW)
        is LifecycleState.REMOVED
    )
    assert list(LifecycleState) == ["live", "expired", "removed"]
    assert CHECKOUT.is_removed is False


def test_an_outdated_edit_names_the_author() -> None:
    """If the author is known."""
    error = OutdatedError(CHECKOUT)
    assert error.current is CHECKOUT
    assert str(error) == "checkout is at version 7, by bo: read that version, and apply your change to it"
    unknown = str(OutdatedError(replace(CHECKOUT, changed_by="")))
    assert unknown == (
        "checkout is at version 7, by an unknown user: read that version, and apply your change to it"
    )
