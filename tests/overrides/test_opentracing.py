"""The `x-ot-span-context` header."""

from base64 import b64decode, b64encode

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from detour.overrides import (
    HEADER_MAX,
    Kind,
    Override,
    OverrideProblem,
    Overrides,
    parse_opentracing,
    strip_opentracing,
    write_opentracing,
)
from detour.overrides.model import WHOLE_HEADER
from detour.overrides.wire import (
    FIXED32,
    FIXED64,
    LENGTH,
    VARINT,
    Field,
    WireError,
    map_entry,
    read_fields,
    read_map,
    write_fields,
)
from overrides_strategies import SETS

PR_42 = Overrides.collect([Override(Kind.ROUTE, "users", "pr-42")])


@pytest.fixture(scope="module")
def carrier() -> type:
    """Return `BinaryCarrier` as protobuf's own library understands the schema."""
    file = descriptor_pb2.FileDescriptorProto(name="carrier.proto", package="lightstep", syntax="proto3")
    basic = file.message_type.add(name="BasicTracerCarrier")
    kinds = descriptor_pb2.FieldDescriptorProto
    for number, (name, kind) in enumerate(
        [("trace_id", kinds.TYPE_FIXED64), ("span_id", kinds.TYPE_FIXED64), ("sampled", kinds.TYPE_BOOL)], 1
    ):
        basic.field.add(name=name, number=number, type=kind, label=kinds.LABEL_OPTIONAL)
    entry = basic.nested_type.add(name="BaggageItemsEntry")
    entry.options.map_entry = True
    for number, name in enumerate(("key", "value"), 1):
        entry.field.add(name=name, number=number, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    basic.field.add(
        name="baggage_items",
        number=4,
        type=kinds.TYPE_MESSAGE,
        label=kinds.LABEL_REPEATED,
        type_name=".lightstep.BasicTracerCarrier.BaggageItemsEntry",
    )
    binary = file.message_type.add(name="BinaryCarrier")
    binary.field.add(
        name="basic_ctx",
        number=2,
        type=kinds.TYPE_MESSAGE,
        label=kinds.LABEL_OPTIONAL,
        type_name=".lightstep.BasicTracerCarrier",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("lightstep.BinaryCarrier"))


@given(SETS)
def test_what_is_written_is_read_again(overrides: Overrides) -> None:
    """Whatever the flags' values."""
    parsed = parse_opentracing(write_opentracing(None, overrides))
    assert (parsed.overrides, parsed.problems) == (overrides, ())


def test_protobufs_own_library_reads_what_is_written(carrier: type) -> None:
    """The schema is what the tracers' is."""
    message = carrier.FromString(b64decode(write_opentracing(None, PR_42)))
    assert list(message.basic_ctx.baggage_items) == ["overrides"]


def test_ids_and_other_peoples_items_stay(carrier: type) -> None:
    """A tracer's header goes on with its trace; overrides are added to those that it carries already."""
    message = carrier()
    message.basic_ctx.trace_id, message.basic_ctx.span_id, message.basic_ctx.sampled = 2**64 - 1, 7, True
    message.basic_ctx.baggage_items["user"] = "ana"
    header = b64encode(message.SerializeToString()).decode()
    log = Override(Kind.LOG, "users", "debug")
    for override in (Override(Kind.ROUTE, "users", "pr-1"), log, *PR_42):
        header = write_opentracing(header, Overrides.collect([override]))
    made = carrier.FromString(b64decode(header)).basic_ctx
    assert (made.trace_id, made.span_id, made.sampled) == (2**64 - 1, 7, True)
    assert dict(made.baggage_items).keys() == {"user", "overrides"}
    assert made.baggage_items["user"] == "ana"
    assert dict(parse_opentracing(header).overrides.by_key) == dict(PR_42.over(Overrides.collect([log])).by_key)


def carried(*entries: Field) -> str:
    """Return a header whose baggage item holds these entries."""
    item = map_entry(4, "overrides", b64encode(write_fields(entries)).decode())
    return b64encode(write_fields([(2, LENGTH, write_fields([item]))])).decode()


def test_appending_loses_nothing_that_was_read() -> None:
    """Of duplicates the last one counts, also after others were added."""
    header = carried(map_entry(1, "route.users", "a b"), map_entry(1, "route.users", "pr-42"))
    log = Overrides.collect([Override(Kind.LOG, "users", "debug")])
    assert parse_opentracing(header).overrides == PR_42
    assert parse_opentracing(write_opentracing(header, log)).overrides == PR_42.over(log)


def test_bytes_that_are_no_text_are_replaced_for_readers_and_stay() -> None:
    """As in the baggage; the header itself is nobody's to mend."""
    header = carried((1, LENGTH, b"\x0a\x08config.f\x12\x01\xff"))
    for one in (header, write_opentracing(header, PR_42)):
        assert parse_opentracing(one).overrides.value(Kind.CONFIG, "f") == "\ufffd"
    assert write_opentracing(header, Overrides()) == header


def test_a_header_without_our_item_has_no_overrides_and_no_problem(carrier: type) -> None:
    """Most headers are of that kind."""
    message = carrier()
    message.basic_ctx.baggage_items["user"] = "ana"
    assert parse_opentracing(b64encode(message.SerializeToString()).decode()).problems == ()
    assert parse_opentracing("").problems == ()


def test_base64_may_come_without_padding() -> None:
    """Some tracers leave it out."""
    assert parse_opentracing(write_opentracing(None, PR_42).rstrip("=")).overrides == PR_42


@pytest.mark.parametrize("header", ["%", "A", "ü", "AA=A", "Eg==", "EP///////////w==", "Ew==", "AA==", "x" * 8193])
def test_what_cannot_be_read_is_ignored_and_reported(header: str) -> None:
    """Base64 and protobuf, truncated, too long, or neither."""
    parsed = parse_opentracing(header)
    assert len(parsed.overrides) == 0
    assert len(parsed.problems) == 1


def test_an_item_that_cannot_be_read_is_reported_as_overrides(carrier: type) -> None:
    """The header is whole, what it has for Detour is not."""
    message = carrier()
    message.basic_ctx.baggage_items["overrides"] = "no base64"
    parsed = parse_opentracing(b64encode(message.SerializeToString()).decode())
    assert (len(parsed.overrides), [one.key for one in parsed.problems]) == (0, [WHOLE_HEADER])


def test_a_header_that_is_too_long_is_read_and_reported(carrier: type) -> None:
    """Services can read it, sidecars refuse it."""
    message = carrier()
    message.MergeFromString(b64decode(write_opentracing(None, PR_42)))
    message.basic_ctx.baggage_items["theirs"] = "x" * HEADER_MAX
    parsed = parse_opentracing(b64encode(message.SerializeToString()).decode())
    assert parsed.overrides == PR_42
    assert parsed.unreadable_for("users") is not None


def test_a_header_that_cannot_be_read_is_not_appended_to() -> None:
    """It is somebody's, and would be lost."""
    with pytest.raises(ValueError, match="not base64"):
        write_opentracing("%", PR_42)


def test_a_header_that_would_be_too_long_is_not_made() -> None:
    """The same limits as for baggage."""
    with pytest.raises(ValueError, match="at most 8192"):
        write_opentracing(None, Overrides.collect([Override(Kind.CONFIG, "flag", "x" * 5000)]))
    with pytest.raises(ValueError, match="at most 64"):
        write_opentracing(None, Overrides.collect(Override(Kind.ROUTE, f"s{number}", "x") for number in range(65)))


@given(st.binary(max_size=60))
def test_any_bytes_are_fields_or_an_error(message: bytes) -> None:
    """What is read is written the same again, up to how integers are spelt."""
    try:
        fields = list(read_fields(message))
    except WireError:
        return
    assert list(read_fields(write_fields(fields))) == fields


@given(SETS, SETS)
def test_what_is_stripped_can_be_written_anew(first: Overrides, second: Overrides) -> None:
    """Nothing of the overrides before stays."""
    stripped = strip_opentracing(write_opentracing(None, first))
    assert parse_opentracing(write_opentracing(stripped, second)).overrides == second


def test_stripping_leaves_what_is_others(carrier: type) -> None:
    """Trace and span ids, and baggage items of other people."""
    message = carrier()
    message.basic_ctx.trace_id = 7
    message.basic_ctx.baggage_items["team"] = "rides"
    theirs = b64encode(message.SerializeToString()).decode()
    assert carrier.FromString(b64decode(strip_opentracing(write_opentracing(theirs, PR_42)))) == message


@pytest.mark.parametrize("header", ["", "no base64!", "EA=="])
def test_what_is_no_carrier_cannot_be_stripped(header: str) -> None:
    """There is nothing to pass on; an empty header is an empty carrier."""
    assert strip_opentracing(header) == (None if header else "EgA=")


def test_what_is_too_long_to_be_read_is_not_passed_on_either(carrier: type) -> None:
    """No header that is written is longer than one that is read."""
    message = carrier()
    message.basic_ctx.baggage_items["theirs"] = "x" * HEADER_MAX
    assert strip_opentracing(b64encode(message.SerializeToString()).decode()) is None


def test_without_overrides_no_item_is_written(carrier: type) -> None:
    """A carrier of others stays what it was."""
    message = carrier()
    message.basic_ctx.baggage_items["theirs"] = "7"
    header = b64encode(message.SerializeToString()).decode()
    assert write_opentracing(header, Overrides()) == header


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("%", "it is not base64"),
        ("A", "it is not base64"),
        ("ü", "it is not base64"),
        ("AA=A", "it is not base64"),
        ("Eg==", "an integer is truncated"),  # a field of a length that is not there
        ("EgE=", "the message ends early"),
        ("EP///////////w==", "an integer is truncated"),
        ("Ew==", "wire type 3 is not in use"),
        ("AAA=", "the message ends early"),  # field 0
    ],
)
def test_what_is_wrong_with_a_header_is_told(header: str, why: str) -> None:
    """Nobody is refused for it: it shows no overrides."""
    parsed = parse_opentracing(header)
    assert parsed.problems == (OverrideProblem(f"x-ot-span-context: {header}", why, None),)
    assert (len(parsed.overrides), parsed.unreadable_for("users")) == (0, None)


def test_what_is_wrong_with_overrides_is_told() -> None:
    """By the item, by its entries, and by the length of the whole header; each concerns every service."""
    item = map_entry(4, "overrides", "%")
    header = b64encode(write_fields([(2, LENGTH, write_fields([item]))])).decode()
    (problem,) = parse_opentracing(header).problems
    assert problem == OverrideProblem(f"x-ot-span-context: {header}", "it is not base64", "")
    # The item's key is there, and the message that it is in ends early.
    cut = b64encode(b64decode(header)[:-1]).decode()
    (problem,) = parse_opentracing(cut).problems
    assert (problem.why, problem.key) == ("the message ends early", "")


def test_the_longest_header_that_is_read() -> None:
    """One letter more, and sidecars refuse what it is for; the same holds for what is written."""
    for length, problems in ((8192, 0), (8196, 1)):
        header = padded(length)
        parsed = parse_opentracing(header)
        assert (len(header), parsed.overrides, len(parsed.problems)) == (length, PR_42, problems)
        assert (strip_opentracing(header) is None) is bool(problems)
    (problem,) = parsed.problems
    assert (problem.why, problem.key) == ("it has 8196 bytes, but only 8192 are read", "")
    with pytest.raises(ValueError, match=r"^x-ot-span-context would have 8196 bytes, at most 8192 are possible$"):
        write_opentracing(padded(8196), PR_42)
    assert len(write_opentracing(padded(8192), PR_42)) == 8192


def padded(length: int) -> str:
    """Return a header of this length with one override, and much of somebody else's."""
    message = b64decode(write_opentracing(None, PR_42))
    (context,) = [content for number, _, content in read_fields(message) if number == 2]
    for size in range(length * 3 // 4 - len(message) - 40, length):
        theirs = map_entry(4, "theirs", "x" * size)
        header = b64encode(write_fields([(2, LENGTH, write_fields([theirs, *read_fields(context)]))])).decode()
        if len(header) >= length:
            return header
    raise AssertionError


def test_many_overrides_are_refused_in_words() -> None:
    """Those that were there before count."""
    there = write_opentracing(
        None, Overrides.collect(Override(Kind.ROUTE, f"s{number}", "x") for number in range(63))
    )
    full = write_opentracing(there, PR_42)
    assert len(parse_opentracing(full).overrides) == 64
    with pytest.raises(ValueError, match=r"^65 overrides in one request, at most 64 are possible$"):
        write_opentracing(full, Overrides.collect([Override(Kind.LOG, "users", "debug")]))


def test_of_several_contexts_the_last_counts() -> None:
    """As protobuf has it for a field that comes twice; other fields stay."""
    first, second = (
        (
            2,
            LENGTH,
            write_fields([map_entry(4, "overrides", b64encode(write_fields([map_entry(1, key, "a")])).decode())]),
        )
        for key in ("route.users", "route.web")
    )
    header = b64encode(write_fields([(1, LENGTH, b"theirs"), first, (2, VARINT, b"\x07"), second])).decode()
    assert [one.subject for one in parse_opentracing(header).overrides] == ["web"]
    assert list(read_fields(b64decode(strip_opentracing(header)))) == [
        (1, LENGTH, b"theirs"),
        (2, VARINT, b"\x07"),
        (2, LENGTH, b""),
    ]


def test_fields_of_every_kind() -> None:
    """As protobuf's documentation writes them; integers may have ten bytes, lengths and tags five."""
    message = b"\x08\x96\x01" + b"\x11" + bytes(range(8)) + b"\x1a\x03abc" + b"\x25" + bytes(4) + b"\x80\x01\x00"
    fields = [
        (1, VARINT, b"\x96\x01"),
        (2, FIXED64, bytes(range(8))),
        (3, LENGTH, b"abc"),
        (4, FIXED32, bytes(4)),
        (16, VARINT, b"\x00"),
    ]
    assert list(read_fields(message)) == fields
    assert write_fields(fields) == message
    assert list(read_fields(b"\x08" + b"\x80" * 9 + b"\x01")) == [(1, VARINT, b"\x80" * 9 + b"\x01")]
    assert list(read_fields(b"\x88\x80\x80\x80\x00\x01")) == [(1, VARINT, b"\x01")]
    assert write_fields([(1, LENGTH, b"x" * 127), (1, LENGTH, b"x" * 128)])[:2] == b"\x0a\x7f"
    assert write_fields([(1, LENGTH, b"x" * 16_384)])[:4] == b"\x0a\x80\x80\x01"


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"\x08" + b"\x80" * 10 + b"\x01", "an integer is truncated"),
        (b"\x88\x80\x80\x80\x80\x00\x01", "an integer is truncated"),
        (b"\x0a\x02a", "the message ends early"),
        (b"\x11" + bytes(7), "the message ends early"),
        (b"\x25" + bytes(3), "the message ends early"),
        (b"\x02\x00", "the message ends early"),
        (b"\x0b", "wire type 3 is not in use"),
        (b"\x0e\x00", "wire type 6 is not in use"),
    ],
)
def test_what_is_no_message(message: bytes, why: str) -> None:
    """In words."""
    with pytest.raises(WireError) as raised:
        list(read_fields(message))
    assert str(raised.value) == why


def test_maps_of_texts() -> None:
    """Of the field that is asked for; a part that is missing is empty, one of another kind is nobody's."""
    entries = [
        map_entry(4, "a", "1"),
        (4, LENGTH, write_fields([(2, LENGTH, b"only a value")])),
        (4, LENGTH, write_fields([(1, LENGTH, b"only a key"), (2, VARINT, b"\x07")])),
        (4, VARINT, b"\x01"),
        map_entry(5, "other", "2"),
        (4, LENGTH, b"\x0a\x01\xff\x12\x01\xfe"),
        map_entry(4, "a", "3"),
    ]
    assert list(read_map(write_fields(entries), 4)) == [
        ("a", "1"),
        ("", "only a value"),
        ("only a key", ""),
        ("\udcff", "\udcfe"),
        ("a", "3"),
    ]
    assert map_entry(4, "\udcff", "\udcfe") == (4, LENGTH, b"\x0a\x01\xff\x12\x01\xfe")


def test_without_a_header_the_ids_are_zero() -> None:
    """As a tracer that has not begun a trace would write them."""
    assert list(read_fields(b64decode(write_opentracing(None, Overrides())))) == [
        (2, LENGTH, b"\x09" + bytes(8) + b"\x11" + bytes(8) + b"\x18\x00")
    ]
    assert write_opentracing("", Overrides()) == write_opentracing(None, Overrides())


def test_a_long_header_without_overrides_is_nobodys_problem(carrier: type) -> None:
    """Sidecars read nothing of it, and there is nothing in it."""
    message = carrier()
    message.basic_ctx.baggage_items["theirs"] = "x" * HEADER_MAX
    parsed = parse_opentracing(b64encode(message.SerializeToString()).decode())
    assert (len(parsed.overrides), parsed.problems) == (0, ())
