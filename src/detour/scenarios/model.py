"""Scenarios as frozen values.

A scenario's name is one label of a host name (RFC 1123, section 2.1; RFC 1035, section 2.3.1), so that
`checkout-redesign.preview.example.test` can be its preview URL. It never changes.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from detour.mesh import is_line, is_text
from detour.overrides import Overrides, append_to_baggage

OWNER_MAX = 100
DESCRIPTION_MAX = 2000


class NoScenarioError(LookupError):
    """There is no scenario of that name, or no such version of it."""


class ScenarioExistsError(ValueError):
    """There is a scenario of that name already."""


class OutdatedError(ValueError):
    """Somebody else has changed the scenario meanwhile.

    Args:
        current: What it is now.
    """

    def __init__(self, current: "Scenario") -> None:
        self.current = current
        super().__init__(
            f"{current.name} is at version {current.version}, which {current.changed_by or 'somebody'} made: "
            "look at that, and change it"
        )


class State(StrEnum):
    """Whether a scenario can be entered."""

    LIVE = "live"
    EXPIRED = "expired"
    REMOVED = "removed"


def _expect_length(what: str, text: str, most: int) -> None:
    if len(text) > most:
        raise ValueError(f"{what}: expected at most {most} characters, got {len(text)}")


@dataclass(frozen=True, slots=True)
class Draft:
    """What a person decides about a scenario.

    Args:
        overrides: At least one.
        owner: Whom to ask about it.
        description: What it is for, in any words.
        expires: From when on it cannot be entered (timezone-aware); never by default.

    Raises:
        ValueError: It could not be put into a request, or is too long; the message says what was expected.
    """

    overrides: Overrides
    owner: str = ""
    description: str = ""
    expires: datetime | None = None

    def __post_init__(self) -> None:
        if not self.overrides:
            raise ValueError("a scenario has at least one override, such as users=pr-42")
        _expect_length("owner", self.owner, OWNER_MAX)
        _expect_length("description", self.description, DESCRIPTION_MAX)
        if not is_line(self.owner):
            raise ValueError("owner: expected one line, without control characters")
        if not is_text(self.description):
            raise ValueError("description: expected text, without control characters")
        if self.expires and self.expires.tzinfo is None:
            raise ValueError("expires: expected a moment with its time zone, such as 2026-12-01T00:00:00Z")
        append_to_baggage(None, self.overrides)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One version of a scenario.

    Args:
        version: 1, 2, 3: also counted on where a removed scenario is made anew.
        changed: When this version was made (timezone-aware), and by whom.
        is_removed: Whether this version says that there is none.
    """

    name: str
    version: int
    overrides: Overrides
    owner: str
    description: str
    expires: datetime | None
    changed: datetime
    changed_by: str
    is_removed: bool = False

    def state(self, now: datetime) -> State:
        """Say whether it can be entered at a moment (timezone-aware)."""
        if self.is_removed:
            return State.REMOVED
        return State.EXPIRED if self.expires and self.expires <= now else State.LIVE
