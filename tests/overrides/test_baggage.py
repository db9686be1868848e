"""The W3C header: what is read, what is written, and what is left alone."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detour.overrides import (
    Kind,
    Override,
    OverrideProblem,
    Overrides,
    append_to_baggage,
    members_of,
    own_key,
    parse_baggage,
    read_entry,
    strip_baggage,
)
from detour.overrides.model import as_text, bare
from overrides_strategies import SETS

FOREIGN = st.from_regex(r"[a-z]{1,8}[ \t]?=[a-z0-9%]{0,8}(;[a-z]{1,3}(=[a-z]{0,3})?){0,2}", fullmatch=True)


def values(*lines: str) -> dict[str, str]:
    """Return what header lines say, by key."""
    return {override.key: override.value for override in parse_baggage(lines).overrides}


@given(SETS)
def test_what_is_written_is_read_again(overrides: Overrides) -> None:
    """Whatever the flags' values."""
    parsed = parse_baggage([append_to_baggage(None, overrides)])
    assert parsed.overrides == overrides
    assert parsed.problems == ()


@given(st.lists(FOREIGN, max_size=5), SETS, SETS)
def test_other_peoples_entries_are_never_touched(foreign: list[str], before: Overrides, after: Overrides) -> None:
    """Byte for byte and in their order; our own of the same key are replaced, others of ours stay."""
    header = append_to_baggage(append_to_baggage(",".join(foreign), before), after)
    assert header.split(",")[: len(foreign)] == foreign or not foreign
    assert dict(parse_baggage([header]).overrides.by_key) == dict(after.over(before).by_key)
    assert strip_baggage(header) == (",".join(foreign) or None)


@given(st.lists(st.text(max_size=100), max_size=4))
def test_no_text_raises(lines: list[str]) -> None:
    """A request is never lost to its baggage."""
    parse_baggage(lines)
    for line in lines:
        strip_baggage(line)


def test_lines_members_properties_and_white_space() -> None:
    """Section 3.3.1: a list over several lines, optional white space, properties that say nothing of ours."""
    assert values(" a=1 ,\toverride.route.users = pr-42 ;p=1;q", "override.missing=baseline,,") == {
        "override.route.users": "pr-42",
        "override.missing": "baseline",
    }


def test_the_last_of_duplicates_wins() -> None:
    """As in the sidecar; also where it was encoded, and where it can't be read."""
    assert values("override.route.a=1,override.route.a=2,override%2Eroute.a=%33") == {"override.route.a": "3"}
    parsed = parse_baggage(["override.route.a=1,override.route.a=!"])
    assert (len(parsed.overrides), dict(parsed.unread)) == (0, {"override.route.a": "!"})


NAME = "expected letters, digits, dot, dash or underscore, at most 63, the first a letter or digit"
DELAY = "expected a delay such as 300ms or 1.5s, at most 60s"
STATUS = "expected an HTTP status from 200 to 599 or a gRPC code from 0 to 16"
KIND = "expected override. and one of route, delay, abort, config, log, db, missing"


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("override.route.users=", NAME),
        ("override.route.users=a b", NAME),
        ("override.route.users=-a", NAME),
        (f"override.route.users={'x' * 64}", NAME),
        ("override.route.=a", "expected a name behind override.route."),
        ("override.route=a", "expected a name behind override.route."),
        ("override.routes.users=a", KIND),
        ("override.=a", KIND),
        ("override.delay.users=61s", DELAY),
        ("override.delay.users=300", DELAY),
        ("override.delay.users=1.s", DELAY),
        ("override.delay.users=.5s", DELAY),
        ("override.delay.users=60.0001s", DELAY),
        ("override.route.users", "expected = and a value"),
        ("override.abort.users=17", STATUS),
        ("override.abort.users=600", STATUS),
        ("override.abort.users=teapot", STATUS),
        ("override.missing=fail", "expected override.missing=baseline"),
        ("override.missing.users=baseline", "expected override.missing=baseline"),
        ("override.config.flag", "expected = and a value"),
    ],
)
def test_what_cannot_be_read_is_ignored_and_reported(entry: str, why: str) -> None:
    """With the entry and what was expected; the rest of the header counts."""
    parsed = parse_baggage([f"{entry},override.route.payments=pr-1"])
    assert [override.subject for override in parsed.overrides] == ["payments"]
    assert parsed.problems == (OverrideProblem(entry, why, entry.partition("=")[0]),)
    shown = entry if len(entry) <= 80 else f"{entry[:79]}…"
    assert str(parsed.problems[0]) == f"'{shown}' is ignored: {why}"


@pytest.mark.parametrize("delay", ["0ms", "60000ms", "60s", "1.5s", "0.0005s", "60.000s"])
def test_a_delay_is_in_milliseconds_or_seconds(delay: str) -> None:
    """Seconds may have a decimal fraction; at most a minute."""
    assert values(f"override.delay.users={delay}") == {"override.delay.users": delay}


@pytest.mark.parametrize(
    "entry",
    [
        "x-override.route.users=a",
        "a=override.route.users=a",
        "a=1;override.route.users=a",
        "OVERRIDE.route.users=a",
    ],
)
def test_what_only_looks_like_an_override_is_somebody_elses(entry: str) -> None:
    """No override, no problem, and not stripped."""
    parsed = parse_baggage([entry])
    assert (len(parsed.overrides), parsed.problems) == (0, ())
    assert strip_baggage(entry) == entry


@pytest.mark.parametrize(
    "key",
    [
        "override.route.a",
        "%6Fverride.route.a",
        "%256Fverride.route.a",
        "+override.route.a",
        "%20override.a",
        "\xa0override.a",
    ],
)
def test_what_a_next_reader_would_take_for_an_override_is_stripped(key: str) -> None:
    """OpenTelemetry's SDKs decode keys, and Python's skips white space before them."""
    assert strip_baggage(f"a=1,{key}=b,c=2") == "a=1,c=2"


def test_a_header_that_is_too_long_is_refused_by_sidecars() -> None:
    """If there is an override in it. A service reads it all the same, for OpenTelemetry drops it whole."""
    parsed = parse_baggage(["override.log.=1,a=" + "x" * 8156, "override.route.a=1"])
    assert parsed.overrides.route("a") == "1"
    why = "the baggage has 8193 bytes and contains overrides, but only 8192 bytes are read"
    assert [one.why for one in parsed.problems] == [why, "expected a name behind override.log."]
    assert parsed.unreadable_for("b") is parsed.problems[0]
    assert (parsed.problems[0].key, len(parsed.problems[0].what)) == ("", 80)
    for passes in ("a=" + "x" * 8171 + ",override.route.a=1", "a=" + "x" * 9000):
        assert parse_baggage([passes]).problems == ()
    (only,) = parse_baggage(["override.log.=1,a=" + "x" * 9000]).problems[1:]
    assert only.key == "override.log."


def test_sidecars_read_64_entries_of_ours() -> None:
    """They refuse requests to the services that the others are for."""
    parsed = parse_baggage([",".join(f"a{number}=1,override.route.s{number}=x" for number in range(65))])
    assert len(parsed.overrides) == 65
    why = "it is override number 65 of the request, but only 64 are read"
    assert parsed.problems == (OverrideProblem("override.route.s64", why, "override.route.s64"),)
    assert parsed.unreadable_for("s64") is parsed.problems[0]
    assert parsed.unreadable_for("s63") is None


VECTORS = json.loads((Path(__file__).parents[2] / "sdk/vectors/baggage.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", [one for one in VECTORS if "sidecars" in one], ids=lambda case: case["name"])
def test_what_sidecars_make_of_a_header(case: dict) -> None:
    """The vectors that sidecars share with the SDKs: at each limit, one below it, and past it."""
    parsed = parse_baggage(case["lines"])
    found = {
        service: None if parsed.unreadable_for(service) else "@".join(filter(None, (service, chosen)))
        for service in case["sidecars"]
        for chosen in (parsed.overrides.route(service),)
    }
    assert found == case["sidecars"]


def test_overrides_of_one_key_do_not_pile_up() -> None:
    """However often they are added, and however they are spelt in what is there; others keep their order."""
    header = "a=1,override.route.users=pr-0,override%2Eroute.users=pr-1,override.log.rides=debug"
    for number in range(2, 20):
        one = Overrides.collect([Override(Kind.ROUTE, "users", f"pr-{number}")])
        header = append_to_baggage(header, one)
        assert header == f"a=1,override.log.rides=debug,override.route.users=pr-{number}"


def test_bytes_of_a_flag_that_are_no_utf_8_are_replaced() -> None:
    """W3C Baggage, section 3.3.1.3."""
    assert values("override.config.flag=a%FFb%E2%82") == {"override.config.flag": "a\ufffdb\ufffd"}


def test_reader_and_writer_count_alike() -> None:
    """What can't be read is one of the 64 as well, so what is written is read."""
    one = Overrides.collect([Override(Kind.ROUTE, "users", "pr-42")])
    there = ["override.route.a", "override.route.b=", *(f"override.log.s{number}=debug" for number in range(61))]
    parsed = parse_baggage([append_to_baggage(",".join(there), one)])
    assert parsed.overrides.route("users") == "pr-42"
    assert len(parsed.problems) == 2
    with pytest.raises(ValueError, match="at most 64"):
        append_to_baggage(",".join([*there, "override.route.c"]), one)


def test_a_header_that_would_be_too_long_is_not_made() -> None:
    """Neither by its bytes nor by its entries; the message says what to do."""
    one = Overrides.collect([Override(Kind.ROUTE, "users", "pr-42")])
    with pytest.raises(ValueError, match="at most 8192") as raised:
        append_to_baggage("a=" + "x" * 8164, one)
    assert str(raised.value) == "the baggage would have 8193 bytes, at most 8192 are possible: drop some entries"
    assert len(append_to_baggage("a=" + "x" * 8163, one)) == 8192
    many = Overrides.collect(Override(Kind.ROUTE, f"s{number}", "x") for number in range(65))
    with pytest.raises(ValueError, match=r"^65 overrides in one request, at most 64 are possible$"):
        append_to_baggage(None, many)
    with pytest.raises(ValueError, match="at most 64"):
        append_to_baggage(append_to_baggage(None, Overrides.collect(list(many)[1:])), one)


def test_what_fits_in_no_header_is_refused_in_words() -> None:
    """Characters that are not bytes, in what is there or in a flag's value."""
    one = Overrides.collect([Override(Kind.ROUTE, "users", "pr-42")])
    for header in ("a=\ud800", "a=\u20ac"):
        with pytest.raises(
            ValueError, match=r"^this baggage cannot be a header: it contains characters that are not bytes$"
        ):
            append_to_baggage(header, one)
    assert append_to_baggage("a=\xff", one).startswith("a=\xff,")
    with pytest.raises(ValueError, match="expected text in UTF-8"):
        Override(Kind.CONFIG, "flag", "\udcff")
    assert append_to_baggage("a=\xe9", one) == "a=\xe9,override.route.users=pr-42"


def test_what_no_reader_would_understand_cannot_be_made() -> None:
    """Whatever exists can be written and read again."""
    for kind, subject, value in (
        (Kind.ROUTE, "a b", "c"),
        (Kind.ROUTE, "a", "b,c"),
        (Kind.MISSING, "", "x"),
        (Kind.MISSING, "users", "baseline"),
    ):
        with pytest.raises(ValueError, match="expected"):
            Override(kind, subject, value)


def test_a_flag_may_have_any_character() -> None:
    """Also the one that stands for others which could not be read."""
    assert values("override.config.flag=%EF%BF%BD") == {"override.config.flag": "\ufffd"}


def test_a_problem_is_told_in_short() -> None:
    """However long the entry."""
    for length in (8000, 9000):
        problem, *_ = parse_baggage(["override.route.users=" + "x" * length]).problems
        assert len(problem.what) == 80
        assert problem.what.endswith("x…")
        assert len(str(problem)) < 300


def test_overrides_answer_what_is_asked_of_them() -> None:
    """By service, by kind, and whether the baseline may stand in."""
    overrides = parse_baggage(["override.route.users=pr-42,override.config.flag=a%20b"]).overrides
    assert overrides.route("users") == "pr-42"
    assert overrides.route("payments") is None
    assert overrides.of(Kind.ROUTE) == {"users": "pr-42"}
    assert overrides.value(Kind.CONFIG, "flag") == "a b"
    assert not overrides.falls_back
    assert parse_baggage(["override.missing=baseline"]).overrides.falls_back
    assert not Overrides()


def test_what_cannot_be_read_is_written_again_as_it_was_meant() -> None:
    """It goes on to the service that it is for, whose sidecar refuses it."""
    parsed = parse_baggage(["override.route.users=pr-42,override.delay.users=soon,override.route.maps"])
    members = members_of(parsed)
    assert members[0] == "override.route.users=pr-42"
    assert dict(parse_baggage([",".join(members)]).unread) == {
        "override.delay.users": "soon",
        "override.route.maps": "",
    }


@pytest.mark.parametrize(
    ("header", "service", "is_refused"),
    [
        ("override.route.users=!", "users", True),
        ("override.route.users=!", "maps", False),
        ("override.route.users=!", "", False),
        ("override.users=pr-42", "users", True),
        ('override.route."users"=pr-42', "users", True),
        ("override.missing=basline", "users", False),
        ("override.route.users=pr-42,override.missing=basline", "users", True),
        ("override.route.users=!,override.missing=basline", "users", True),
        ("override.log.users=loud", "users", False),
        (f"override.route.maps=a,theirs={'x' * 9000}", "users", True),
        (f"theirs={'x' * 9000}", "users", False),
    ],
)
def test_a_request_is_refused_for_what_its_own_service_cannot_read(
    header: str, service: str, is_refused: bool
) -> None:
    """And for a header of which no one knows what it says of the service."""
    assert (parse_baggage([header]).unreadable_for(service) is not None) is is_refused


def test_of_two_headers_the_first_counts_key_by_key() -> None:
    """Also where it can't be read: what it was meant to say is not known."""
    mine = parse_baggage(["override.route.users=!,override.delay.maps=3s"])
    theirs = parse_baggage(["override.route.users=pr-42,override.route.maps=pr-1,override.abort.maps=?"])
    both = mine.over(theirs)
    assert {one.key for one in both.overrides} == {"override.delay.maps", "override.route.maps"}
    assert dict(both.unread) == {"override.route.users": "!", "override.abort.maps": "?"}
    assert [one.key for one in both.problems] == ["override.route.users", "override.abort.maps"]
    assert both
    assert not parse_baggage(["theirs=1"])


def test_text_that_is_none_becomes_text() -> None:
    """Bytes that were no UTF-8, and halves of characters that never were bytes."""
    assert as_text("a\udcffb") == as_text("a\ud800b") == "a\ufffdb"


def test_a_host_that_is_no_service_is_refused_for_no_override() -> None:
    """Not even for one whose key has no name in it; only a header that is too long concerns everybody."""
    assert (
        parse_baggage(["override.route.=a,override.delay.users=soon,override.users=a"]).unreadable_for("") is None
    )
    assert parse_baggage(["override.route.users=a,pad=" + "x" * 8192]).unreadable_for("") is not None


def test_what_services_read_is_refused_by_no_sidecar() -> None:
    """A log level and a database are for the service itself, readable or not."""
    assert parse_baggage(["override.log.users=!,override.db.users"]).unreadable_for("users") is None
    assert parse_baggage(["override.abort.users=!"]).unreadable_for("users") is not None


def test_a_key_is_read_however_it_is_written() -> None:
    """Encoded up to three times, with whatever stands around it; other people's are nobody's."""
    for key in ("override.route.a", "%6fverride.route.a", "%256fverride.route.a", "%25256fverride.route.a"):
        assert own_key(key) == "override.route.a"
    assert own_key("%2525256fverride.route.a") is None
    assert own_key(' \t"override.route.a" ') == "override.route.a"
    assert own_key("override.route.%C3%BC-") == "override.route.ü-"
    for other in ("a", "a%20b", "theirs.override.a", "Override.route.a", ""):
        assert own_key(other) is None


def test_what_stands_around_a_name_is_left_out() -> None:
    """Also where there is no name in it."""
    assert bare(' "users"\t') == "users"
    assert bare("-_.") == "-_."
    assert (bare(""), bare(' "" ')) == ("", "")
    assert bare("a b") == "a b"


def test_values_are_decoded() -> None:
    """Names up to three times, for a propagator may encode them again; what may be any text once."""
    assert values("override.route.users=pr%252d42,override.delay.users=%25331s") == {
        "override.route.users": "pr-42",
        "override.delay.users": "31s",
    }
    assert values("override.config.flag=100%2525,override.route.a=%25252531") == {"override.config.flag": "100%25"}
    assert values("override.config.flag=\xfc") == {"override.config.flag": "\ufffd"}
    assert values("override.config.flag=\u20ac%E2%82%AC") == {"override.config.flag": "?\u20ac"}


def test_what_is_not_read_goes_on() -> None:
    """Encoded; an entry without a value is written with an empty one unless that would be a text."""
    parsed = parse_baggage(["override.config.flag,override.route.a,override.delay.b=so on,override.log.a%C3%BCb=1"])
    assert dict(parsed.unread) == {"override.route.a": "", "override.delay.b": "so on", "override.log.aüb": "1"}
    assert members_of(parsed) == ["override.route.a=", "override.delay.b=so%20on", "override.log.a%C3%BCb=1"]
    assert members_of(parse_baggage(["override.route.a/b=c/d"])) == ["override.route.a%2Fb=c%2Fd"]
    flag = parse_baggage(["override.config.flag=a/b%2C%20c"])
    assert members_of(flag) == ["override.config.flag=a%2Fb%2C%20c"]


def test_empty_members_are_left_out() -> None:
    """Of what is written; other people's stay, space and all."""
    one = Overrides.collect([Override(Kind.ROUTE, "users", "pr-42")])
    assert append_to_baggage(" ,, a = 1;x ,\t", one) == " a = 1;x ,override.route.users=pr-42"
    assert append_to_baggage("", Overrides()) == ""
    assert strip_baggage("a=1,,override.route.x=1, b") == "a=1, b"
    assert strip_baggage("override.route.x=1") is strip_baggage("") is None


def test_of_a_request_for_many_services_each_refuses_its_own() -> None:
    """The first of its problems; what its name may be meant by, too."""
    parsed = parse_baggage(['override.delay.a=x,override.abort.b=y,override.route."c"=z z,override.d=pr-1'])
    found = {name: parsed.unreadable_for(name) for name in "abcde"}
    assert [one and one.why for one in found.values()] == [
        DELAY,
        STATUS,
        "expected a name behind override.route.",
        KIND,
        None,
    ]
    assert OverrideProblem("a", "b").key is None
    assert read_entry("override.log.a", "b").key == "override.log.a"


def test_of_two_headers_the_first_says_what_can_not_be_read() -> None:
    """Of a key that neither can, and of one that only the other can't."""
    mine = parse_baggage(["override.route.users=!,override.route.maps=pr-1"])
    theirs = parse_baggage(["override.route.users=?,override.route.maps=?,override.route.web=?"])
    both = mine.over(theirs)
    assert dict(both.unread) == {"override.route.users": "!", "override.route.web": "?"}
    assert [one.what for one in both.problems] == ["override.route.users=!", "override.route.web=?"]
    assert dict(both.overrides.by_key) == dict(mine.overrides.by_key)


def test_letters_that_are_bytes() -> None:
    """Up to the last one; the next letter can't be in a header."""
    assert append_to_baggage("a=\u00ff", Overrides()) == "a=\u00ff"
    with pytest.raises(ValueError, match="characters that are not bytes"):
        append_to_baggage("a=\u0100", Overrides())


@pytest.mark.parametrize(("length", "kept"), [(79, "x" * 79), (80, "x" * 80), (81, "x" * 79 + "\u2026")])
def test_eighty_characters_of_a_problem_are_kept(length: int, kept: str) -> None:
    """Of a longer text the last one says that more follows."""
    assert OverrideProblem("x" * length, "why").what == kept


def test_bytes_behind_surrogates_are_read() -> None:
    """As UTF-8 where they are; other surrogates stand for nothing."""
    assert as_text("a\udcc3\udca9") == "a\u00e9"
    assert as_text("a\udce2\udc82b") == "a\ufffdb"
    assert as_text("\ud800\udcc3") == "\ufffd\ufffd"
