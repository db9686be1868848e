"""What a scenario may be."""

from datetime import UTC, datetime

import pytest

from detour.overrides import Overrides, parse_words
from detour.scenarios import Draft


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"overrides": Overrides()}, "at least one override"),
        ({"owner": "a" * 101}, "at most 100 characters"),
        ({"description": "a" * 2001}, "at most 2000 characters"),
        ({"owner": "two\nlines"}, "owner: expected one line"),
        ({"description": "a\x00b"}, "description: expected text"),
        ({"description": "\ud800"}, "description: expected text"),
        ({"overrides": parse_words([f"config.f{n}=1" for n in range(65)])}, "at most 64"),
        ({"overrides": parse_words([f"config.f{n}={'ä' * 200}" for n in range(10)])}, "at most 8192"),
        ({"expires": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001  that is the point
    ],
)
def test_what_is_no_draft(more: dict[str, object], expected: str) -> None:
    """What could not be put into a request, or not be shown, is refused with what was expected."""
    with pytest.raises(ValueError, match=expected):
        Draft(**{"overrides": parse_words(["users=pr-42"]), **more})


def test_an_expiry_is_a_moment() -> None:
    """A draft may say when it ends."""
    assert Draft(parse_words(["users=pr-42"]), expires=datetime(2026, 1, 1, tzinfo=UTC)).expires
