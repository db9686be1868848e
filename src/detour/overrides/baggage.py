"""The W3C `baggage` header (https://www.w3.org/TR/baggage/, section 3.3).

A member is `key=value` with properties behind semicolons. Keys are compared literally; of duplicate keys the last
one that can be read wins, in the sidecar's Lua as here. Headers are strings as HTTP libraries decode them: one
character a byte.
"""

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote, unquote_to_bytes

from detour.overrides.model import (
    ENTRIES_MAX,
    HEADER_MAX,
    PREFIX,
    Kind,
    Override,
    Overrides,
    Parsed,
    Problem,
    read_entry,
)

_SPACE = " \t"
_DECODING_ROUNDS = 3
_BYTE_MAX = 0xFF
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


def parse_baggage(lines: Iterable[str]) -> Parsed:
    """Read the overrides of a request.

    Args:
        lines: The header's lines; several count as one.
    """
    header = ",".join(lines)
    if len(header) > HEADER_MAX:
        why = f"the baggage has {len(header)} bytes, at most {HEADER_MAX} are read"
        return Parsed(Overrides(), (Problem(header, why),))
    return read_entries(list(_own_entries(header)))


def read_entries(entries: Sequence[tuple[str, str | None]]) -> Parsed:
    """Read entries whose keys begin with `override.`, at most 64 of them."""
    read = [read_entry(key, value) for key, value in entries[:ENTRIES_MAX]]
    problems = [one for one in read if isinstance(one, Problem)]
    if len(entries) > ENTRIES_MAX:
        problems.append(Problem(entries[ENTRIES_MAX][0], f"at most {ENTRIES_MAX} overrides are read"))
    return Parsed(Overrides.collect(one for one in read if isinstance(one, Override)), tuple(problems))


def append_to_baggage(header: str | None, overrides: Overrides) -> str:
    """Return baggage with the overrides behind what is there.

    Other people's entries stay as they are, byte for byte; an override of the same key is replaced.

    Args:
        header: What is there; several lines joined by commas.
        overrides: What is to be added.

    Raises:
        ValueError: The header would be longer than 8192 bytes, hold more than 64 overrides, or a character that is
            no byte.
    """
    replaced = overrides.by_key.keys()
    kept = [
        member for member in (header or "").split(",") if member.strip(_SPACE) and _entry(member)[0] not in replaced
    ]
    made = ",".join([*kept, *(f"{one.key}={_encoded(one)}" for one in overrides)])
    if (count := sum(1 for _ in _own_entries(made))) > ENTRIES_MAX:
        raise ValueError(f"{count} overrides in one request, at most {ENTRIES_MAX} are possible")
    if not made.isascii() and any(ord(letter) > _BYTE_MAX for letter in made):
        raise ValueError("that baggage can be no header: it holds characters which are no bytes")
    if len(made) > HEADER_MAX:
        raise ValueError(
            f"the baggage would have {len(made)} bytes, at most {HEADER_MAX} are possible: drop some entries"
        )
    return made


def strip_baggage(header: str) -> str | None:
    """Return baggage without any override, None if nothing is left.

    OpenTelemetry's SDKs decode keys, so one that becomes an override on the next hop counts as one.
    """
    kept = [member for member in header.split(",") if member and not _is_override(member)]
    return ",".join(kept) or None


def _own_entries(header: str) -> Iterator[tuple[str, str | None]]:
    """Give key and decoded value of each entry that is an override's; no value if it has no `=`."""
    for member in header.split(","):
        key, value = _entry(member)
        if key.startswith(PREFIX):
            yield key, value if value is None else _decoded(key, value)


def _entry(member: str) -> tuple[str, str | None]:
    key, equals, value = member.partition(";")[0].partition("=")
    return key.strip(_SPACE), value.strip(_SPACE) if equals else None


def _decoded(key: str, value: str) -> str:
    """Decode a flag's value, which may be any text; all others are written as they are."""
    if not key.startswith(f"{PREFIX}{Kind.CONFIG}."):
        return value
    # Bytes that are no UTF-8 become characters that no override may hold.
    return unquote_to_bytes(value.encode("latin-1", "replace")).decode("utf-8", "surrogateescape")


def _encoded(override: Override) -> str:
    return quote(override.value, safe="") if override.kind is Kind.CONFIG else override.value


def _is_override(member: str) -> bool:
    key = member.partition(";")[0].partition("=")[0].encode("latin-1", "replace")
    for _ in range(_DECODING_ROUNDS):
        key = unquote_to_bytes(key)
    text = key.decode("latin-1")
    start = next((index for index, letter in enumerate(text) if letter in _PLAIN), len(text))
    return text[start:].startswith(PREFIX)
