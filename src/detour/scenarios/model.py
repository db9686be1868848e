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
    """No scenario has that name, or the scenario does not have that version."""


class ScenarioExistsError(ValueError):
    """A scenario of that name exists already."""


class OutdatedError(ValueError):
    """The scenario has changed since the version that an edit was based on.

    Args:
        current: Its last version.
    """

    def __init__(self, current: "Scenario") -> None:
        self.current = current
        super().__init__(
            f"{current.name} is at version {current.version}, by {current.changed_by or 'an unknown user'}: "
            "read that version, and apply your change to it"
        )


class LifecycleState(StrEnum):
    """Whether requests can enter a scenario."""

    LIVE = "live"
    EXPIRED = "expired"
    REMOVED = "removed"


def _expect_length(what: str, text: str, most: int) -> None:
    if len(text) > most:
        raise ValueError(f"{what}: expected at most {most} characters, got {len(text)}")


@dataclass(frozen=True, slots=True)
class Draft:
    """The parts of a scenario that people choose.

    Args:
        overrides: At least one.
        owner: The user who is responsible for it.
        description: Its purpose, as free text.
        expires: When it expires (timezone-aware); never by default.

    Raises:
        ValueError: A value is invalid or too long for a request; the message says what was expected.
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
        version: 1, 2, 3; a removed scenario that is created again continues the count.
        changed: When this version was created (timezone-aware).
        changed_by: The user who created this version.
        is_removed: Whether this version is the removal of the scenario.
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

    def state(self, now: datetime) -> LifecycleState:
        """Return whether requests can enter it at a moment (timezone-aware)."""
        if self.is_removed:
            return LifecycleState.REMOVED
        return LifecycleState.EXPIRED if self.expires and self.expires <= now else LifecycleState.LIVE
