"""How commands show a scenario."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from detour.cli.scenario_text import words
from detour.cli.terminal import until

if TYPE_CHECKING:
    from datetime import datetime

    from detour.client import ScenarioOut


def row_of(one: "ScenarioOut") -> Sequence[str]:
    """Return the cells of a scenario in a list: name, overrides, owner, expiry, version, description."""
    expires = "removed" if one.state == "removed" else until(one.expires)
    description = " ".join(one.description.split())
    return one.name, " ".join(words(one.overrides)), one.owner, expires, str(one.version), description


def details_of(one: "ScenarioOut") -> list[tuple[str, str]]:
    """Return the names and values of everything that a scenario has."""
    return [
        ("scenario", one.name),
        ("description", one.description),
        ("overrides", "\n".join(words(one.overrides))),
        ("owner", one.owner),
        ("expires", "removed" if one.state == "removed" else until(one.expires)),
        ("version", f"{one.version}, by {one.changed_by} at {moment(one.changed)}"),
        ("header", f"baggage: {one.baggage}"),
    ]


def overrides_of(one: "ScenarioOut") -> str:
    """Return the overrides on one line; for a removed scenario, that it is removed."""
    return "(removed)" if one.state == "removed" else " ".join(words(one.overrides))


def expiry_of(one: "ScenarioOut") -> str:
    """Return a clause that says when a scenario expires."""
    return f"it expires {until(one.expires)}" if one.expires else "it never expires"


def moment(at: "datetime") -> str:
    """Return a time as people read it."""
    return f"{at:%Y-%m-%d %H:%M}"
