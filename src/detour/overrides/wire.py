"""The subset of protobuf's wire format that the OpenTracing carrier needs (protobuf.dev, "Encoding").

Invariant: reading is bounded by the length of the input, and any error is a `WireError`.
"""

from collections.abc import Iterable, Iterator
from typing import Final

VARINT: Final = 0
FIXED64: Final = 1
LENGTH: Final = 2
FIXED32: Final = 5

_FIXED_BYTES: Final = {FIXED64: 8, FIXED32: 4}
_VARINT_BYTES_MAX = 5
"""Tags and lengths fit in 32 bits, and so do all integers of the messages that are read."""

Field = tuple[int, int, bytes]
"""A field's number, wire type and content; a length-delimited field's content excludes its length."""


class WireError(ValueError):
    """The bytes are not a valid message."""


def read_fields(message: bytes) -> Iterator[Field]:
    """Parse a message into its fields, including unknown ones.

    Raises:
        WireError: The message is truncated, or contains something that no proto3 writer writes.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        start, end = _extent(message, at, wire_type)
        if number == 0 or end > len(message):
            raise WireError("the message ends early")
        yield number, wire_type, message[start:end]
        at = end


def write_fields(fields: Iterable[Field]) -> bytes:
    """Serialize fields; the inverse of `read_fields`."""
    return b"".join(_field(*field) for field in fields)


def _field(number: int, wire_type: int, content: bytes) -> bytes:
    length = write_varint(len(content)) if wire_type == LENGTH else b""
    return write_varint(number << 3 | wire_type) + length + content


def write_varint(value: int) -> bytes:
    """Encode an unsigned integer."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])


def read_map(message: bytes, number: int) -> Iterator[tuple[str, str]]:
    """Parse the entries of a `map<string, string>` field, in order; the caller resolves duplicates.

    Bytes that are not valid UTF-8 become lone surrogates, which `map_entry` writes as the same bytes again.

    Raises:
        WireError: The message or an entry is invalid.
    """
    for field, wire_type, content in read_fields(message):
        if (field, wire_type) == (number, LENGTH):
            entry = {one: text for one, kind, text in read_fields(content) if kind == LENGTH}
            yield _text(entry.get(1, b"")), _text(entry.get(2, b""))


def map_entry(number: int, key: str, value: str) -> Field:
    """Return one entry of a `map<string, string>` field."""
    return number, LENGTH, write_fields([(1, LENGTH, _bytes(key)), (2, LENGTH, _bytes(value))])


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _extent(message: bytes, at: int, wire_type: int) -> tuple[int, int]:
    if wire_type == VARINT:
        return at, _varint_end(message, at)
    if wire_type == LENGTH:
        length, start = _varint(message, at)
        return start, start + length
    if wire_type in _FIXED_BYTES:
        return at, at + _FIXED_BYTES[wire_type]
    raise WireError(f"wire type {wire_type} is not in use")


def _varint_end(message: bytes, at: int) -> int:
    for index in range(at, min(at + 10, len(message))):
        if message[index] < 128:
            return index + 1
    raise WireError("an integer is truncated")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(at, min(at + _VARINT_BYTES_MAX, len(message))):
        value |= (message[index] & 127) << 7 * (index - at)
        if message[index] < 128:
            return value, index + 1
    raise WireError("an integer is truncated")
