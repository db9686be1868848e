"""Flags per request: `override.config.<flag>`, whose text is converted to the type that the service requests.

Booleans are `true`, `on`, `1` and `false`, `off`, `0`, in any case. Numbers are JSON numbers, integers up to 2^53 -
1. Objects are JSON objects and arrays. All languages convert in the same way (`sdk/vectors/flags.json`).
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeVar

from detour.overrides import Kind, Override, OverrideProblem
from detour.sdk.request import current, report_problems

T = TypeVar("T")

_BOOLEANS: Final = MappingProxyType({"true": True, "on": True, "1": True, "false": False, "off": False, "0": False})
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_INTEGER_MAX: Final = 2**53 - 1


class Fault(StrEnum):
    """Why a text is not a value of a type, as OpenFeature's error codes (specification 1.4, "Error Code")."""

    PARSE = "PARSE_ERROR"
    TYPE = "TYPE_MISMATCH"


class FlagError(ValueError):
    """A flag's text is not a value of the requested type.

    Args:
        fault: The error code.
        expected: A description of valid values.
    """

    def __init__(self, fault: Fault, expected: str) -> None:
        super().__init__(f"expected {expected}")
        self.fault = fault


def flag(name: str, default: T) -> T:
    """Return the value of a flag in the current request, or the default.

    The default determines the type: boolean, string, integer, float; dictionary and list for JSON objects and
    arrays. A text that is not a value of that type is ignored and reported.

    Raises:
        TypeError: The default has another type.
    """
    read = reader(type(default))
    text = current().value(Kind.CONFIG, name)
    if text is None:
        return default
    try:
        return read(text)
    except FlagError as error:
        report_problems((OverrideProblem(f"{Override(Kind.CONFIG, name, text).key}={text}", str(error)),))
        return default


def reader(kind: type[T]) -> Callable[[str], T]:
    """Return a function that converts a flag's text to a type.

    Raises:
        TypeError: Flags cannot have this type.
    """
    if found := _READERS.get(kind):
        return found
    known = ", ".join(one.__name__ for one in _READERS)
    raise TypeError(f"a flag can't be a {kind.__name__}: expected one of {known}")


def _boolean(text: str) -> bool:
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise FlagError(Fault.PARSE, "true, on, 1, false, off or 0")
    return value


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text) or len(text) > 17 or abs(int(text)) > _INTEGER_MAX:
        raise FlagError(Fault.PARSE, "an integer of at most 2^53 - 1, such as 42")
    return int(text)


def _float(text: str) -> float:
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise FlagError(Fault.PARSE, "a number, such as 0.25")
    return float(text)


def read_object(text: str) -> Mapping[str, Any] | Sequence[Any]:
    """Parse a JSON object or array.

    Raises:
        FlagError: The text is neither.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise FlagError(Fault.PARSE, "a JSON object or array") from None
    if not isinstance(value, dict | list):
        raise FlagError(Fault.TYPE, "a JSON object or array")
    return value


def _mapping(text: str) -> dict[str, Any]:
    return _of(dict, text)


def _list(text: str) -> list[Any]:
    return _of(list, text)


def _of(kind: type[T], text: str) -> T:
    value = read_object(text)
    if not isinstance(value, kind):
        raise FlagError(Fault.TYPE, "a JSON object" if kind is dict else "a JSON array")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(constant)


_READERS: Final[Mapping[type, Callable[[str], Any]]] = MappingProxyType(
    {bool: _boolean, str: str, int: _integer, float: _float, dict: _mapping, list: _list}
)
