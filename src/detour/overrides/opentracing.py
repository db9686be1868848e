"""The `x-ot-span-context` header of OpenTracing's binary carrier, as Lightstep's tracers write it.

Standard base64 of `BinaryCarrier{BasicTracerCarrier basic_ctx = 2}` with `BasicTracerCarrier{fixed64 trace_id = 1;
fixed64 span_id = 2; bool sampled = 3; map<string, string> baggage_items = 4}`. The baggage item `overrides`
contains base64 of `Overrides{map<string, string> entries = 1}`. Its keys are those of the W3C header, without
`override.`.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from detour.overrides.baggage import read_entries
from detour.overrides.kinds import PREFIX
from detour.overrides.model import (
    ENTRIES_MAX,
    HEADER_MAX,
    WHOLE_HEADER,
    OverrideProblem,
    Overrides,
    Parsed,
    as_text,
)
from detour.overrides.wire import (
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

_BASIC_CONTEXT: Final = 2
_BAGGAGE_ITEMS: Final = 4
_ENTRIES: Final = 1
_ITEM: Final = "overrides"
_ITEM_BYTES: Final = b"\x0a\x09overrides"
"""The item's key, as protobuf writes it."""
_NO_IDS: Final[tuple[Field, ...]] = ((1, FIXED64, bytes(8)), (2, FIXED64, bytes(8)), (3, VARINT, b"\x00"))


def parse_opentracing(header: str) -> Parsed:
    """Parse the overrides of a request; none if the header has another form.

    Sidecars and edges reject a malformed header only if it shows that it contains overrides, because other tracers
    use the same header name.
    """
    carrier = b""
    try:
        carrier = _decoded(header)
        item = dict(read_map(_context(carrier), _BAGGAGE_ITEMS)).get(_ITEM, "")
    except ValueError as error:
        return _ignored(header, str(error), shows_overrides=_ITEM_BYTES in carrier)
    try:
        parsed = read_entries(
            [(PREFIX + as_text(key), as_text(value)) for key, value in read_map(_decoded(item), _ENTRIES)]
        )
    except ValueError as error:
        return _ignored(header, str(error), shows_overrides=True)
    if not item or len(header) <= HEADER_MAX:
        return parsed
    too_long = _ignored(header, f"it has {len(header)} bytes, but only {HEADER_MAX} are read", shows_overrides=True)
    return replace(parsed, problems=(*too_long.problems, *parsed.problems))


def write_opentracing(header: str | None, overrides: Overrides) -> str:
    """Return a header with these overrides in addition to those that it already carries.

    Overrides with other keys, trace and span ids, and other baggage items stay as they are. Without a header, the
    ids are zero.

    Raises:
        ValueError: The given header has another form, or the result would exceed the limits.
    """
    message = _decoded(header) if header else b""
    context = list(read_fields(_context(message))) if header else list(_NO_IDS)
    kept = [field for field in context if not _is_ours(field)]
    entries = [(key, value) for key, value in _entries(context) if PREFIX + key not in overrides.by_key]
    entries += [(one.key.removeprefix(PREFIX), one.value) for one in overrides]
    if len(entries) > ENTRIES_MAX:
        raise ValueError(f"{len(entries)} overrides in one request, at most {ENTRIES_MAX} are possible")
    ours = write_fields(map_entry(_ENTRIES, key, value) for key, value in entries)
    items = [map_entry(_BAGGAGE_ITEMS, _ITEM, b64encode(ours).decode())] if entries else []
    made = _encoded(message, [*kept, *items])
    if len(made) > HEADER_MAX:
        raise ValueError(f"x-ot-span-context would have {len(made)} bytes, at most {HEADER_MAX} are possible")
    return made


def strip_opentracing(header: str) -> str | None:
    """Return the header without any override; None if it has another form or is too long to be read.

    Trace and span ids, and other baggage items, stay as they are.
    """
    if len(header) > HEADER_MAX:
        return None
    try:
        message = _decoded(header)
        kept = [field for field in read_fields(_context(message)) if not _is_ours(field)]
        return _encoded(message, kept)
    except ValueError:
        return None


def _encoded(message: bytes, context: list[Field]) -> str:
    """Encode a carrier, with this context instead of its own."""
    others = [field for field in read_fields(message) if field[:2] != (_BASIC_CONTEXT, LENGTH)]
    return b64encode(write_fields([*others, (_BASIC_CONTEXT, LENGTH, write_fields(context))])).decode()


def _context(message: bytes) -> bytes:
    contexts = [
        content for number, kind, content in read_fields(message) if (number, kind) == (_BASIC_CONTEXT, LENGTH)
    ]
    return contexts[-1] if contexts else b""


def _entries(context: list[Field]) -> Iterator[tuple[str, str]]:
    """Return the entries that a carrier's baggage items already contain, including duplicates."""
    item = dict(read_map(write_fields(context), _BAGGAGE_ITEMS)).get(_ITEM, "")
    return read_map(_decoded(item), _ENTRIES)


def _is_ours(field: Field) -> bool:
    if field[:2] != (_BAGGAGE_ITEMS, LENGTH):
        return False
    return any(key == _ITEM for key, _ in read_map(write_fields([field]), _BAGGAGE_ITEMS))


def _decoded(text: str) -> bytes:
    """Decode standard base64, padded or not."""
    try:
        return b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError("it is not base64") from error


def _ignored(header: str, why: str, *, shows_overrides: bool) -> Parsed:
    return Parsed(
        Overrides(),
        (OverrideProblem(f"x-ot-span-context: {header}", why, WHOLE_HEADER if shows_overrides else None),),
    )
