"""Carrying overrides in and out, in front of OpenTelemetry's own propagators."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from detour.overrides import (
    HEADER_MAX,
    Kind,
    Override,
    Overrides,
    parse_baggage,
    parse_opentracing,
    write_opentracing,
)
from detour.sdk.propagator import OverridesPropagator
from detour.sdk.request import added, carried_in, replaced
from overrides_strategies import SETS

PR_42 = Overrides.collect([Override(Kind.ROUTE, "users", "pr-42")])
PR_7 = Overrides.collect([Override(Kind.ROUTE, "rides", "pr-7")])

BOTH = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
PROPAGATOR = OverridesPropagator(BOTH)


def through(headers: dict[str, Any], propagator: OverridesPropagator = PROPAGATOR) -> dict[str, str]:
    """Return the headers that leave a service which these have entered."""
    leaving: dict[str, str] = {}
    propagator.inject(leaving, propagator.extract(headers, Context()))
    return leaving


@given(SETS)
def test_what_enters_leaves_again(overrides: Overrides) -> None:
    """Any text of a flag too, hop after hop."""
    entering: dict[str, str] = {}
    PROPAGATOR.inject(entering, added(Context(), overrides))
    assert through(through(entering)) == entering
    assert parse_baggage([entering.get("baggage", "")]).overrides == overrides


def test_a_space_leaves_as_other_languages_read_it() -> None:
    """Not as a plus, which is one only in forms."""
    assert through({"baggage": "override.config.text=a%20b%2Bc"}) == {"baggage": "override.config.text=a%20b%2Bc"}


def test_the_trace_and_other_peoples_baggage_go_on() -> None:
    """By the propagators behind."""
    entering = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "baggage": "team=rides,override.route.users=pr-42,tier=gold",
    }
    assert through(entering) == {**entering, "baggage": "team=rides,tier=gold,override.route.users=pr-42"}


def test_all_lines_count() -> None:
    """OpenTelemetry's own reads the first of them."""
    assert through({"baggage": ["team=rides", "override.route.users=pr-42", "tier=gold"]}) == {
        "baggage": "team=rides,tier=gold,override.route.users=pr-42"
    }


def test_overrides_go_on_where_nobody_carries_baggage() -> None:
    """A service that was told to propagate the trace alone."""
    propagator = OverridesPropagator(TraceContextTextMapPropagator())
    assert through({"baggage": "team=rides,override.route.users=pr-42"}, propagator) == {
        "baggage": "override.route.users=pr-42"
    }


def test_without_overrides_others_write_what_they_write() -> None:
    """Byte for byte."""
    context = baggage.set_baggage("team", "rides & co", Context())
    ours: dict[str, str] = {}
    theirs: dict[str, str] = {}
    PROPAGATOR.inject(ours, context)
    BOTH.inject(theirs, context)
    assert ours == theirs


def test_what_a_service_changes_leaves_changed() -> None:
    """Removed ones do not come back, in neither header."""
    entering = {
        "baggage": "override.route.users=pr-42",
        "x-ot-span-context": write_opentracing(None, PR_42),
    }
    context = replaced(PROPAGATOR.extract(entering, Context()), PR_7)
    leaving: dict[str, str] = {}
    PROPAGATOR.inject(leaving, context)
    assert parse_baggage([leaving["baggage"]]).overrides == PR_7
    assert parse_opentracing(leaving["x-ot-span-context"]).overrides == PR_7


def test_opentracing_goes_on_where_it_came_in() -> None:
    """In its own header, with everything of other people's; and in the baggage."""
    header = write_opentracing(None, PR_42)
    assert through({"x-ot-span-context": header}) == {
        "baggage": "override.route.users=pr-42",
        "x-ot-span-context": header,
    }


def test_of_both_headers_the_baggage_counts() -> None:
    """As in the sidecar."""
    context = PROPAGATOR.extract(
        {"baggage": "override.route.users=pr-1", "x-ot-span-context": write_opentracing(None, PR_42)}, Context()
    )
    assert carried_in(context).route("users") == "pr-1"


def test_both_headers_count_key_by_key() -> None:
    """What only one of them says is said."""
    context = PROPAGATOR.extract(
        {"baggage": "override.route.users=pr-42", "x-ot-span-context": write_opentracing(None, PR_7)}, Context()
    )
    assert carried_in(context) == PR_42.over(PR_7)


def test_what_enters_counts_over_what_was_current() -> None:
    """The message's own word about a service, in whichever header."""
    before = added(Context(), Overrides.collect([Override(Kind.ROUTE, "users", "pr-1")]))
    for entering in (
        {"baggage": "override.route.users=pr-42"},
        {"x-ot-span-context": write_opentracing(None, PR_42)},
    ):
        assert carried_in(PROPAGATOR.extract(entering, before)) == PR_42


def test_a_span_context_without_overrides_goes_on() -> None:
    """The tracers of others need it."""
    header = write_opentracing(None, Overrides())
    assert through({"x-ot-span-context": header})["x-ot-span-context"]


@pytest.mark.parametrize("header", ["", "no base64!", "EA==", "x" * 9000])
def test_a_span_context_that_is_none_is_left_out(header: str) -> None:
    """And takes nothing with it."""
    assert through({"x-ot-span-context": header, "baggage": "override.route.users=pr-42"}) == {
        "baggage": "override.route.users=pr-42"
    }


def test_headers_stay_within_8192_bytes(caplog: pytest.LogCaptureFixture) -> None:
    """The next service would drop all of a longer one: other people's last entries go, and that is told."""
    context = baggage.set_baggage("first", "kept", Context())
    context = baggage.set_baggage("filling", "x" * 4000, context)
    context = baggage.set_baggage("last", "y" * 4000, context)
    context = added(context, Overrides.collect([Override(Kind.CONFIG, "text", "z" * 300)]))
    headers: dict[str, str] = {}
    with caplog.at_level(logging.WARNING):
        PROPAGATOR.inject(headers, context)
    assert len(headers["baggage"]) <= HEADER_MAX
    assert parse_baggage([headers["baggage"]]).overrides == carried_in(context)
    assert headers["baggage"].startswith("first=kept,filling=")
    assert "exceed 8192 bytes" in caplog.text


def test_overrides_are_never_left_out() -> None:
    """Where they are too long by themselves, the next sidecar refuses the request."""
    many = Overrides.collect(Override(Kind.CONFIG, f"text-{index}", "z" * 3000) for index in range(4))
    headers: dict[str, str] = {}
    PROPAGATOR.inject(headers, added(Context(), many))
    parsed = parse_baggage([headers["baggage"]])
    assert parsed.overrides == many
    assert parsed.unreadable_for("users")


def test_a_getter_that_fails_fails_no_request(caplog: pytest.LogCaptureFixture) -> None:
    """Instrumentation of other people's, on headers that it did not expect."""

    class Failing(dict):
        def get(self, *_: object) -> str:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    before = baggage.set_baggage("team", "rides", Context())
    with caplog.at_level(logging.WARNING):
        assert PROPAGATOR.extract(Failing(), before) == before
    assert "could not be read" in caplog.text


HEADERS = st.dictionaries(
    st.sampled_from(["baggage", "x-ot-span-context", "traceparent", "tracestate"]),
    st.one_of(st.text(max_size=200), st.lists(st.text(max_size=80), max_size=3), st.binary().map(repr)),
)


@given(HEADERS)
def test_no_header_makes_it_raise(headers: dict[str, Any]) -> None:
    """And what leaves can be read."""
    left = through(headers)
    assert through(left).get("baggage") == left.get("baggage")


def test_an_override_that_was_encoded_counts_and_leaves_as_it_is_written() -> None:
    """The sidecar reads it as well; and when a service takes it away it is gone."""
    entering = {"baggage": "%6Fverride.route.users=pr-1,override%252Eroute.rides=%70r-7,team=a"}
    assert through(entering) == {"baggage": "team=a,override.route.users=pr-1,override.route.rides=pr-7"}
    context = replaced(PROPAGATOR.extract(entering, Context()), Overrides())
    headers: dict[str, str] = {}
    PROPAGATOR.inject(headers, context)
    assert headers == {"baggage": "team=a"}


@pytest.mark.parametrize(
    ("entering", "leaving"),
    [
        ('override.route.users="pr-42"', "override.route.users=%22pr-42%22"),
        (
            "team=a,override.route.users,override.missing=basline",
            "team=a,override.missing=basline,override.route.users=",
        ),
        (
            "override.route.users=pr 42,override.route.rides=pr-7",
            "override.route.rides=pr-7,override.route.users=pr%2042",
        ),
        ("override.colour.users=blue,override.log.a=debug", "override.log.a=debug,override.colour.users=blue"),
        (f"override.route.users=pr-42,pad={'x' * 9000}", "override.route.users=pr-42"),
        (",".join(f"a{n}=b" for n in range(200)) + ",override.route.users=pr-42", None),
    ],
)
def test_what_cannot_be_read_goes_on(entering: str, leaving: str | None) -> None:
    """It fails where it is for, and never vanishes; OpenTelemetry's own limits do not touch overrides."""
    left = through({"baggage": entering})["baggage"]
    assert left == leaving if leaving else left.endswith(",override.route.users=pr-42")
    assert through({"baggage": left}) == {"baggage": left}


def test_what_cannot_be_read_ends_with_its_request() -> None:
    """And is no part of what a service chooses itself."""
    context = PROPAGATOR.extract({"baggage": 'override.route.users="x",team=a'}, Context())
    headers: dict[str, str] = {}
    PROPAGATOR.inject(headers, replaced(context, PR_7))
    assert headers == {"baggage": "team=a,override.route.rides=pr-7"}


def test_what_was_current_before_stays() -> None:
    """A message that is taken within a request may add to it."""
    context = PROPAGATOR.extract({"baggage": "override.route.rides=pr-7"}, added(Context(), PR_42))
    assert carried_in(context) == PR_7.over(PR_42)


def test_its_fields_are_all_that_it_may_write() -> None:
    """Instrumentations ask for them: SQS for the attributes to receive, browsers' servers for CORS."""
    assert PROPAGATOR.fields == {"traceparent", "tracestate", "baggage", "x-ot-span-context"}


def test_a_span_is_no_matter() -> None:
    """Where a context has one, it is still the others' to write."""
    context = trace.set_span_in_context(
        trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False)), added(Context(), PR_42)
    )
    headers: dict[str, str] = {}
    PROPAGATOR.inject(headers, context)
    assert set(headers) == {"traceparent", "baggage"}


VECTORS = json.loads((Path(__file__).parents[2] / "sdk/vectors/opentracing.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_both_headers_are_carried_as_every_language_does(case: dict[str, Any]) -> None:
    """The vectors that all SDKs share."""
    headers = {"x-ot-span-context": [case["opentracing"]], "baggage": case["lines"]}
    assert {one.key: one.value for one in carried_in(PROPAGATOR.extract(headers, Context()))} == case["overrides"]
    left = through(headers)
    assert left.get("x-ot-span-context") in case["leaves"]
    assert ",".join(sorted(left.get("baggage", "").split(","))) == ",".join(case["members"])
