"""The W3C `baggage` header (https://www.w3.org/TR/baggage/, section 3.3).

A member is `key=value`, followed by properties after semicolons. Keys and values may be percent-encoded, more than
once if propagators do that. Of duplicate keys the last one wins, here and in the sidecar's Lua. Headers are strings
as HTTP libraries decode them: one character per byte.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from urllib.parse import quote, unquote_to_bytes

from detour.overrides.kinds import PREFIX, Kind
from detour.overrides.model import (
    ENTRIES_MAX,
    HEADER_MAX,
    WHOLE_HEADER,
    Override,
    OverrideProblem,
    Overrides,
    Parsed,
    as_text,
    bare,
    read_entry,
)
from detour.overrides.values import Values

_SPACE = " \t"
_DECODING_ROUNDS = 3
_BYTE_MAX = 0xFF
_TEXTS = tuple(f"{PREFIX}{kind}." for kind in Kind if kind.values is Values.TEXT)
"""Prefixes of keys whose values may be any text."""


def parse_baggage(lines: Iterable[str]) -> Parsed:
    """Parse the overrides of a request.

    Sidecars and edges read nothing from a header of more than 8192 bytes. Services read it nevertheless.

    Args:
        lines: The header's lines; several are treated as one.
    """
    header = ",".join(lines)
    parsed = read_entries(list(_own_entries(header)))
    if len(header) <= HEADER_MAX or not (parsed.overrides or parsed.problems):
        return parsed
    why = f"the baggage has {len(header)} bytes and contains overrides, but only {HEADER_MAX} bytes are read"
    return replace(parsed, problems=(OverrideProblem(header, why, WHOLE_HEADER), *parsed.problems))


def read_entries(entries: Sequence[tuple[str, str | None]]) -> Parsed:
    """Parse entries whose keys start with `override.`; of two with one key the later one wins.

    Services read all of them; sidecars and edges read only the first 64.
    """
    numbered = {key: (number, value) for number, (key, value) in enumerate(entries, 1)}
    read = {key: read_entry(key, value) for key, (_, value) in numbered.items()}
    beyond = [(key, number) for key, (number, _) in numbered.items() if number > ENTRIES_MAX]
    problems = {key: one for key, one in read.items() if isinstance(one, OverrideProblem)}
    # Without a value, the next reader would take the text for an empty one.
    unread = (key for key in problems if numbered[key][1] is not None or not key.startswith(_TEXTS))
    return Parsed(
        Overrides.collect(one for one in read.values() if isinstance(one, Override)),
        (*problems.values(), *(_beyond(*one) for one in beyond)),
        {key: as_text(numbered[key][1] or "") for key in unread},
    )


def _beyond(key: str, number: int) -> OverrideProblem:
    return OverrideProblem(
        key, f"it is override number {number} of the request, but only {ENTRIES_MAX} are read", key
    )


def members_of(parsed: Parsed) -> list[str]:
    """Return overrides as members of the header, with unreadable ones, which their own services reject."""
    read = [f"{one.key}={_encoded(one)}" for one in parsed.overrides]
    return read + [f"{quote(as_text(key), safe='')}={quote(text, safe='')}" for key, text in parsed.unread.items()]


def append_to_baggage(header: str | None, overrides: Overrides) -> str:
    """Return baggage with the overrides appended.

    Other entries stay as they are, byte for byte. An override with the same key is replaced.

    Args:
        header: The baggage so far; several lines joined by commas.
        overrides: The overrides to add.

    Raises:
        ValueError: The header would exceed 8192 bytes or 64 overrides, or contain a character that is not a byte.
    """
    replaced = overrides.by_key.keys()
    kept = [
        member for member in (header or "").split(",") if member.strip(_SPACE) and _entry(member)[0] not in replaced
    ]
    made = ",".join([*kept, *(f"{one.key}={_encoded(one)}" for one in overrides)])
    if (count := sum(1 for _ in _own_entries(made))) > ENTRIES_MAX:
        raise ValueError(f"{count} overrides in one request, at most {ENTRIES_MAX} are possible")
    if not made.isascii() and any(ord(letter) > _BYTE_MAX for letter in made):
        raise ValueError("this baggage cannot be a header: it contains characters that are not bytes")
    if len(made) > HEADER_MAX:
        raise ValueError(
            f"the baggage would have {len(made)} bytes, at most {HEADER_MAX} are possible: drop some entries"
        )
    return made


def strip_baggage(header: str) -> str | None:
    """Return baggage without any override, readable or not; None if nothing is left."""
    kept = [member for member in header.split(",") if member and not _entry(member)[0].startswith(PREFIX)]
    return ",".join(kept) or None


def _own_entries(header: str) -> Iterator[tuple[str, str | None]]:
    """Yield key and decoded value of each entry that is an override; the value is None without `=`."""
    for member in header.split(","):
        key, value = _entry(member)
        if key.startswith(PREFIX):
            yield key, value if value is None else _decoded(key, value)


def _entry(member: str) -> tuple[str, str | None]:
    key, equals, value = member.partition(";")[0].partition("=")
    return own_key(key) or key, value.strip(_SPACE) if equals else None


def own_key(key: str) -> str | None:
    """Return the decoded key of an override, or None if the key is not an override's.

    Characters around the key are ignored, because another reader may ignore them, too.
    """
    if PREFIX not in key and "%" not in key:
        return None
    own = _text(bare(_bytes_of(key, _DECODING_ROUNDS).decode("latin-1")))
    return own if own.startswith(PREFIX) else None


def _decoded(key: str, value: str) -> str:
    """Decode a value. Bytes that are not valid UTF-8 become U+FFFD (W3C Baggage, section 3.3.1.3).

    Propagators may encode a value again; a value that may be any text is decoded only once.
    """
    return _bytes_of(value, 1 if key.startswith(_TEXTS) else _DECODING_ROUNDS).decode("utf-8", "replace")


def _bytes_of(text: str, rounds: int) -> bytes:
    """Return the bytes that a percent-encoded text represents."""
    decoded = text.encode("latin-1", "replace")
    for _ in range(rounds):
        decoded = unquote_to_bytes(decoded)
    return decoded


def _text(of_bytes: str) -> str:
    return of_bytes.encode("latin-1").decode("utf-8", "replace")


def _encoded(override: Override) -> str:
    return quote(override.value, safe="") if override.kind.values is Values.TEXT else override.value
