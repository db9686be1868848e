"""The W3C `baggage` header (https://www.w3.org/TR/baggage/, section 3.3).

A member is `key=value` with properties behind semicolons. Keys are compared literally; of duplicate keys the last
one that can be read wins, in the sidecar's Lua as here.
"""

from collections.abc import Iterable, Iterator
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
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


def parse_baggage(lines: Iterable[str]) -> Parsed:
    """Read the overrides of a request.

    Args:
        lines: The header's lines, one character a byte as HTTP libraries decode them; several count as one.
    """
    header = ",".join(lines)
    if len(header) > HEADER_MAX:
        why = f"the baggage has {len(header)} bytes, at most {HEADER_MAX} are read"
        return Parsed(Overrides(), (Problem(header[:40] + "...", why),))
    return read_entries([(key, _decoded(key, value)) for key, value in _own_entries(header)])


def read_entries(entries: list[tuple[str, str]]) -> Parsed:
    """Read entries whose keys begin with `override.`, at most 64 of them."""
    read = [read_entry(key, value) for key, value in entries[:ENTRIES_MAX]]
    problems = [one for one in read if isinstance(one, Problem)]
    if len(entries) > ENTRIES_MAX:
        problems.append(Problem(entries[ENTRIES_MAX][0], f"at most {ENTRIES_MAX} overrides are read"))
    return Parsed(Overrides.of(one for one in read if isinstance(one, Override)), tuple(problems))


def append_to_baggage(header: str | None, overrides: Overrides) -> str:
    """Return baggage with the overrides behind what is there.

    Other people's entries stay as they are, byte for byte; an override of the same key is replaced.

    Raises:
        ValueError: The header would be longer than 8192 bytes, or hold more than 64 overrides.
    """
    replaced = overrides.by_key.keys()
    kept = [member for member in (header or "").split(",") if member.strip(_SPACE) and _key(member) not in replaced]
    made = ",".join([*kept, *(f"{one.key}={_encoded(one)}" for one in overrides)])
    if (count := sum(_key(member).startswith(PREFIX) for member in made.split(","))) > ENTRIES_MAX:
        raise ValueError(f"{count} overrides in one request, at most {ENTRIES_MAX} are possible")
    if (size := len(made.encode())) > HEADER_MAX:
        raise ValueError(
            f"the baggage would have {size} bytes, at most {HEADER_MAX} are possible: drop some entries"
        )
    return made


def strip_baggage(header: str) -> str | None:
    """Return baggage without any override, None if nothing is left.

    OpenTelemetry's SDKs decode keys, so one that becomes an override on the next hop counts as one.
    """
    kept = [member for member in header.split(",") if member and not _is_override(member)]
    return ",".join(kept) or None


def _own_entries(header: str) -> Iterator[tuple[str, str]]:
    for member in header.split(","):
        key, equals, value = member.partition(";")[0].partition("=")
        if equals and key.strip(_SPACE).startswith(PREFIX):
            yield key.strip(_SPACE), value.strip(_SPACE)


def _key(member: str) -> str:
    return member.partition(";")[0].partition("=")[0].strip(_SPACE)


def _decoded(key: str, value: str) -> str:
    """Decode a flag's value, which may be any text; all others are written as they are."""
    if not key.startswith(f"{PREFIX}{Kind.CONFIG}."):
        return value
    return unquote_to_bytes(value.encode("latin-1", "replace")).decode("utf-8", "replace")


def _encoded(override: Override) -> str:
    return quote(override.value, safe="") if override.kind is Kind.CONFIG else override.value


def _is_override(member: str) -> bool:
    key = member.partition(";")[0].partition("=")[0].encode("latin-1", "replace")
    for _ in range(_DECODING_ROUNDS):
        key = unquote_to_bytes(key)
    text = key.decode("latin-1")
    start = next((index for index, letter in enumerate(text) if letter in _PLAIN), len(text))
    return text[start:].startswith(PREFIX)
