"""Overrides in the headers of messages."""

from collections.abc import Iterator

import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach
from opentelemetry.propagate import get_global_textmap, set_global_textmap

from detour.overrides import Overrides, parse_words, write_opentracing
from detour.sdk import carried, current, under_carried, using
from detour.sdk.carriage import context_of, texts
from detour.sdk.propagator import OverridesPropagator
from detour.sdk.scope import Scope


@pytest.fixture(autouse=True)
def propagators() -> Iterator[None]:
    """Set up the propagator for a test."""
    others = get_global_textmap()
    set_global_textmap(OverridesPropagator(others))
    yield
    set_global_textmap(others)


def of(deployment: str) -> dict[str, str]:
    """Return the headers of a message with an override."""
    return {"baggage": f"team=rides,override.route.users={deployment}"}


def test_what_is_carried_comes_out_again() -> None:
    """Whatever the queue: headers are a dictionary of text."""
    with using("users=pr-42", "config.text=a b"):
        headers = carried()
    assert not current()
    with under_carried(headers) as overrides:
        assert current() == overrides == parse_words(["users=pr-42", "config.text=a b"])
    assert not current()


def test_a_message_knows_nothing_of_the_request_in_which_it_is_taken() -> None:
    """Neither overrides, nor other baggage, nor what an OpenTracing tracer had carried in."""
    entering = {"x-ot-span-context": write_opentracing(None, parse_words(["users=pr-42"]))}
    with under_carried(entering):
        token = attach(baggage.set_baggage("team", "payments"))
        with under_carried({}):
            assert (current(), carried()) == (Overrides(), {})
            assert not baggage.get_all()
        with under_carried(of("pr-1")):
            assert set(carried()) == {"baggage"}
        detach(token)


def test_the_span_stays_where_there_is_one() -> None:
    """Whoever made it has decided what it belongs to."""
    span = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))
    token = attach(trace.set_span_in_context(span))
    other = {**of("pr-1"), "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    context = context_of(other, Scope(seen=True))
    detach(token)
    assert trace.get_current_span(context) is span
    assert trace.get_current_span(context_of(other, Scope(seen=True))).get_span_context().is_remote


def test_headers_of_any_kind_are_read() -> None:
    """What is no text is left out, and nothing raises."""
    assert texts([("Baggage", b"a=\xff"), ("n", 1), (2, "x"), ("own", "x"), ("own", "y"), ("none", None)]) == {
        "baggage": "a=ÿ",
        "own": "y",
    }
    assert texts(None) == {}


def test_without_overrides_nothing_is_carried() -> None:
    """A message is then what it was."""
    assert carried() == {}
    with using("users=pr-42"):
        assert carried() == {"baggage": "override.route.users=pr-42"}


def test_what_cannot_be_read_goes_on_in_messages_too() -> None:
    """It fails where it is for, and never vanishes on the way."""
    with under_carried({"baggage": 'override.route.users="pr-42"'}):
        assert carried() == {"baggage": "override.route.users=%22pr-42%22"}
