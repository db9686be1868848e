"""The overrides of the current request."""

import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.context import attach, detach, get_current

from detour.overrides import Kind, Override, Overrides
from detour.sdk import current, using
from detour.sdk.request import replaced, report_problems
from overrides_strategies import SETS

PR_42 = Overrides.collect([Override(Kind.ROUTE, "users", "pr-42")])


def test_without_a_request_there_are_none() -> None:
    """And nothing is made for it."""
    assert current() is current()
    assert not current()


@given(SETS)
def test_what_is_set_is_current_in_the_block_alone(overrides: Overrides) -> None:
    """Whatever the flags' values."""
    with using(overrides) as given:
        assert current() == given == overrides
    assert not current()


def test_words_are_those_of_the_command_line() -> None:
    """Sets and words go together; of two with one key the later one counts."""
    with using(PR_42, "users=pr-7", "config.new-checkout=on"):
        assert current().route("users") == "pr-7"
        assert current().value(Kind.CONFIG, "new-checkout") == "on"


def test_a_wrong_word_is_refused_and_changes_nothing() -> None:
    """In a script, before any call is made."""
    with pytest.raises(ValueError, match="'users' is not an override"), using("users"):
        pass
    assert not current()


def test_blocks_nest() -> None:
    """The inner one's overrides are instead of the outer one's; other people's baggage stays."""
    token = attach(baggage.set_baggage("team", "rides"))
    try:
        with using("users=pr-42"):
            with using("rides=pr-7"):
                assert [one.key for one in current()] == ["override.route.rides"]
                assert baggage.get_baggage("team") == "rides"
            assert current() == PR_42
    finally:
        detach(token)


def test_other_peoples_baggage_is_no_override() -> None:
    """Nor is a value of ours that is no text."""
    context = baggage.set_baggage("team", "rides")
    context = baggage.set_baggage("override.route.rides", 7, context)
    token = attach(baggage.set_baggage("override.route.users", "pr-42", context))
    try:
        assert current() == PR_42
    finally:
        detach(token)


def test_what_cannot_be_read_is_ignored_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """However often it is asked for."""
    token = attach(baggage.set_baggage("override.delay.users", "soon, told once"))
    try:
        with caplog.at_level(logging.WARNING):
            assert not current()
            assert not current()
    finally:
        detach(token)
    (told,) = (record.message for record in caplog.records)
    assert told.startswith("of a request's overrides 'override.delay.users=soon, told once' is ignored: expected")


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.none()), max_size=8))
def test_no_baggage_makes_it_raise(entries: dict[str, object]) -> None:
    """Whatever other code has put there."""
    context = get_current()
    for key, value in entries.items():
        context = baggage.set_baggage(f"override.{key}", value, context)
    token = attach(context)
    try:
        current()
        assert not len(replaced(context, Overrides())) or baggage.get_all(replaced(context, Overrides())) == {}
    finally:
        detach(token)


def test_nothing_is_told_where_nothing_is_wrong(caplog: pytest.LogCaptureFixture) -> None:
    """Not even an empty line."""
    with caplog.at_level(logging.DEBUG):
        report_problems(())
    assert not caplog.records


VECTORS = json.loads((Path(__file__).parents[2] / "sdk/vectors/baggage.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_headers_are_read_as_every_language_does(case: dict) -> None:
    """The vectors that all SDKs share."""
    from opentelemetry.baggage.propagation import W3CBaggagePropagator

    from detour.sdk.propagator import OverridesPropagator
    from detour.sdk.request import carried_in

    carrier = {"baggage": case["lines"]}
    propagator, left = OverridesPropagator(W3CBaggagePropagator()), dict[str, str]()
    context = propagator.extract(carrier)
    assert {one.key: one.value for one in carried_in(context)} == case["overrides"]
    propagator.inject(left, context)
    members = sorted(one for one in left.get("baggage", "").split(",") if one.startswith("override"))
    assert members == case.get("leaves", members)
