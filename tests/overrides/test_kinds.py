"""The table of kinds: Python reads what it says, other languages are tested with it, and the README has it all."""

import json
import os
from pathlib import Path

import pytest

from detour.overrides import (
    KINDS,
    ON_CALLS,
    PREFIX,
    Kind,
    Override,
    OverrideProblem,
    Overrides,
    append_to_baggage,
    parse_baggage,
    read_entry,
)
from detour.overrides.kinds import table
from detour.overrides.values import Values

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "sdk/vectors/kinds.json"

ACCEPTED = [(kind, value) for kind in Kind for value in kind.values.accepted]
REFUSED = [(kind, value) for kind in Kind for value in kind.values.refused]


def subject_of(kind: Kind) -> str:
    """Return some subject that an override of a kind may have."""
    return "users" if kind.subject else ""


def key_of(kind: Kind) -> str:
    """Return some key of a kind."""
    return f"{PREFIX}{kind}.users" if kind.subject else f"{PREFIX}{kind}"


def test_the_vectors_are_those_of_the_table() -> None:
    """`UPDATE_GOLDEN=1` writes them anew."""
    expected = json.dumps(table(), indent=2, ensure_ascii=False) + "\n"
    if "UPDATE_GOLDEN" in os.environ:
        VECTORS.write_text(expected, encoding="utf-8")
    assert VECTORS.read_text(encoding="utf-8") == expected


def test_the_table_says_who_applies_what() -> None:
    """Written out by hand: a changed row is a changed promise."""
    assert {one["key"]: one["applied_by"] for one in table()} == {
        "override.route.<service>": "sidecar",
        "override.delay.<service>": "sidecar",
        "override.abort.<service>": "sidecar",
        "override.config.<flag>": "service",
        "override.log.<service>": "service",
        "override.db.<service>": "service",
        "override.missing": "sidecar",
    }
    assert ON_CALLS == (Kind.ROUTE, Kind.DELAY, Kind.ABORT)
    assert list(KINDS) == ["route", "delay", "abort", "config", "log", "db", "missing"]


@pytest.mark.parametrize(("kind", "value"), ACCEPTED)
def test_accepted_values_are_read_and_written(kind: Kind, value: str) -> None:
    """As an entry, and through a header."""
    one = Override(kind, subject_of(kind), value)
    assert read_entry(key_of(kind), value) == one
    header = append_to_baggage(None, Overrides.collect([one]))
    assert parse_baggage([header]).overrides == Overrides.collect([one])


@pytest.mark.parametrize(("kind", "value"), REFUSED)
def test_refused_values_are_explained(kind: Kind, value: str) -> None:
    """In the words of the table."""
    read = read_entry(key_of(kind), value)
    assert isinstance(read, OverrideProblem)
    assert read.why == kind.expected


@pytest.mark.parametrize("kind", Kind)
def test_only_kinds_with_a_subject_have_one(kind: Kind) -> None:
    """And it is a name."""
    value = kind.values.accepted[0]
    for subject in ("a b", "", "x" * 64) if kind.subject else ("users",):
        assert isinstance(read_entry(f"{PREFIX}{kind}.{subject}", value), OverrideProblem)
        with pytest.raises(ValueError, match="expected"):
            Override(kind, subject, value)


@pytest.mark.parametrize("kind", Kind)
def test_the_readme_documents_each_kind(kind: Kind) -> None:
    """In a table of what a request can carry."""
    assert f"\n| `{kind.key}=" in (ROOT / "README.md").read_text()


def test_the_values_of_each_kind() -> None:
    """What they are called, and what people read about a value that is none of them."""
    assert {one.value: one.expected for one in Values} == {
        "name": "expected letters, digits, dot, dash or underscore, at most 63, the first a letter or digit",
        "delay": "expected a delay such as 300ms or 1.5s, at most 60s",
        "status": "expected an HTTP status from 200 to 599 or a gRPC code from 0 to 16",
        "text": "expected text in UTF-8, percent-encoded",
        "baseline": "expected baseline",
    }
