"""The valid values of overrides.

Invariant: every check is total, and its cost is bounded by the length of its input.
"""

import re
from enum import StrEnum
from typing import Final, Self, assert_never

BASELINE: Final = "baseline"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_DELAY = re.compile(r"(?P<ms>[0-9]{1,5})ms|(?P<s>[0-9]{1,2}(\.[0-9]+)?)s", re.ASCII)
_STATUS = re.compile(r"[0-9]{1,3}", re.ASCII)
_DELAY_MAX_MS = 60_000
_GRPC_CODE_MAX = 16


class Values(StrEnum):
    """A set of values, with valid and invalid examples.

    Args:
        expected: The description of valid values in error messages.
        accepted: Examples that every reader accepts.
        refused: Examples that every reader refuses.
    """

    NAME = (
        "name",
        "expected letters, digits, dot, dash or underscore, at most 63, the first a letter or digit",
        ("pr-42", "a", "0", "A.b_c-1", "x" * 63),
        ("-a", ".a", "_a", "pr 42", "a/b", "http://a", '"pr-42"', "grün", "x" * 64),
    )
    DELAY = (
        "delay",
        "expected a delay such as 300ms or 1.5s, at most 60s",
        ("0ms", "300ms", "60000ms", "0s", "1.5s", "59.999s", "60s", "60.0s"),
        ("300", "60001ms", "60.001s", "61s", "1m", "1.5ms", "1.s", ".5s", "-1s", "1 s", "1e3ms", "100000ms"),
    )
    STATUS = (
        "status",
        "expected an HTTP status from 200 to 599 or a gRPC code from 0 to 16",
        ("0", "16", "200", "503", "599", "014"),
        ("17", "199", "600", "0503", "-1", "+1", "5e2", "50x", "UNAVAILABLE"),
    )
    TEXT = ("text", "expected text in UTF-8, percent-encoded", ("on", "", "a b, c=d; 100%", "grüß 🚕"), ())
    BASELINE = (BASELINE, f"expected {BASELINE}", (BASELINE,), ("Baseline", "baselin", "baseline2", "yes"))

    _value_: str
    expected: str
    accepted: tuple[str, ...]
    refused: tuple[str, ...]

    def __new__(cls, name: str, expected: str, accepted: tuple[str, ...], refused: tuple[str, ...]) -> Self:
        """Create a member from a row above."""
        made = str.__new__(cls, name)
        made._value_ = name
        made.expected, made.accepted, made.refused = expected, accepted, refused
        return made

    def has(self, value: str) -> bool:
        """Return whether a value is in the set."""
        match self:
            case Values.NAME:
                return is_name(value)
            case Values.DELAY:
                return delay_ms(value) is not None
            case Values.STATUS:
                return _is_status(value)
            case Values.TEXT:
                return is_text(value)
            case Values.BASELINE:
                return value == BASELINE
            case _:
                assert_never(self)


def is_name(text: str) -> bool:
    """Return whether a text can name a service, a deployment, a flag, a level or a database."""
    return _NAME.fullmatch(text) is not None


def is_text(value: str) -> bool:
    """Return whether a value can be encoded as UTF-8: it has no lone surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def delay_ms(value: str) -> float | None:
    """Return the milliseconds of a delay such as `300ms` or `1.5s`; None if it is invalid, or over a minute."""
    match = _DELAY.fullmatch(value)
    if match is None:
        return None
    found = float(match["ms"]) if match["ms"] else 1000 * float(match["s"])
    return found if found <= _DELAY_MAX_MS else None


def _is_status(value: str) -> bool:
    return _STATUS.fullmatch(value) is not None and (int(value) <= _GRPC_CODE_MAX or 200 <= int(value) < 600)
