"""The text that the API accepts, as patterns of its OpenAPI document (JSON Schema 2020-12, section 6.3.3).

Invariant: patterns only document what the validators accept; the validators decide, and explain mistakes. Patterns
are printable ASCII, because YAML readers refuse control characters.
"""

from typing import Any, Final, assert_never

from detour.mesh import UNPRINTABLE
from detour.overrides import BASELINE, Kind, Values

_NAME: Final = "[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_HEX: Final = "[0-9A-Fa-f]{1,4}"


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"


def mapping_by(key: str, *, longest: int | None = None) -> dict[str, Any]:
    """Return the schema of an object whose keys match a pattern.

    Client generators turn `additionalProperties` into a mapping. They ignore `patternProperties`, and generate a
    type without fields if a schema has nothing else.

    Args:
        key: The pattern.
        longest: Maximum number of characters of a key.
    """
    names: dict[str, Any] = {"pattern": key} if longest is None else {"pattern": key, "maxLength": longest}
    return {"additionalProperties": {"type": "string"}, "propertyNames": names}


def up_to(most: int) -> str:
    """Return the pattern of the integers from 1 to `most`, without leading zeros."""
    digits = str(most)
    # First numbers with fewer digits; then numbers that equal `most` up to some digit, and are smaller there.
    made = [f"[1-9][0-9]{{{length}}}" for length in range(len(digits) - 1)]
    for place, digit in enumerate(digits):
        least = 1 if place == 0 else 0
        if int(digit) > least:
            made.append(f"{digits[:place]}[{least}-{int(digit) - 1}][0-9]{{{len(digits) - place - 1}}}")
    return "(?:" + "|".join([*made, digits]) + ")"


def _ipv6() -> str:
    """Return the pattern of an IPv6 address without dots (RFC 4291, section 2.2)."""
    parts = [f"(?:{_HEX}:){{7}}{_HEX}", f"(?:{_HEX}:){{1,7}}:", "::"]
    parts += [f"(?:{_HEX}:){{1,{before}}}(?::{_HEX}){{1,{7 - before}}}" for before in range(1, 7)]
    return "(?:" + "|".join([*parts, f":(?::{_HEX}){{1,7}}"]) + ")"


_UNPRINTABLE: Final = "".join(one if one == "-" else f"\\u{ord(one):04x}" for one in UNPRINTABLE)
_BYTE: Final = "(?:0|" + up_to(255) + ")"
_IPV4: Final = rf"(?:localhost|{_BYTE}(?:\.{_BYTE}){{3}})"

NAME: Final = _whole(_NAME)
SCENARIO: Final = _whole("[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
ENDPOINT: Final = _whole(rf"(?:{_IPV4}|\[{_ipv6()}\]):{up_to(2**16 - 1)}")
TTL: Final = _whole(
    "|".join(
        up_to(most) + unit
        for unit, most in {
            "ms": 10**12 - 1,
            "s": 36_500 * 86_400,
            "m": 36_500 * 1_440,
            "h": 36_500 * 24,
            "d": 36_500,
        }.items()
    )
)
TOKEN_TTL: Final = _whole(f"{up_to(3600)}s|{up_to(60)}m|1h")
LINE: Final = _whole(f"[^{_UNPRINTABLE}]*")
TEXT: Final = _whole(rf"(?:[\n\r\t]|[^{_UNPRINTABLE}])*")
NUMBER: Final = _whole(up_to(2**31 - 1))
TAG: Final = _whole('"[1-9][0-9]{0,8}"')


def _schema_of(values: Values) -> dict[str, Any]:
    match values:
        case Values.NAME:
            return {"pattern": NAME}
        case Values.DELAY:
            return {"pattern": _whole(rf"(?:0|{up_to(60_000)})ms|(?:[0-5]?[0-9](?:\.[0-9]+)?|60(?:\.0+)?)s")}
        case Values.STATUS:
            return {"pattern": _whole("[0-9]|1[0-6]|[2-5][0-9]{2}")}
        case Values.TEXT:
            return {"description": "any text"}
        case Values.BASELINE:
            return {"const": BASELINE}
        case _:
            assert_never(values)


def _key_of(kind: Kind) -> str:
    return rf"(?:override\.)?{kind}" + (rf"\.{_NAME}" if kind.subject else "")


OVERRIDES: Final[dict[str, Any]] = {
    "patternProperties": {_whole(_key_of(kind)): {"type": "string", **_schema_of(kind.values)} for kind in Kind},
    **mapping_by(_whole("|".join(map(_key_of, Kind)))),
}
"""The schema of an object of overrides: its keys, and the values of each."""
