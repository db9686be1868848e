"""Flags for one request: `override.config.<flag>`, whose text is read as the type that the service asks for.

Booleans are `true`, `on`, `1` and `false`, `off`, `0`, in any case; numbers are JSON's, integers within 2^53 - 1;
objects are JSON objects and arrays. Every language reads the same (`sdk/vectors/flags.json`).
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeVar

from detour.overrides import Kind, Override, Problem
from detour.sdk.request import current, tell

T = TypeVar("T")

_BOOLEANS: Final = MappingProxyType({"true": True, "on": True, "1": True, "false": False, "off": False, "0": False})
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_INTEGER_MAX: Final = 2**53 - 1


class Fault(StrEnum):
    """Why a text has no value of a type, as OpenFeature's error codes (specification 1.4, "Error Code")."""

    PARSE = "PARSE_ERROR"
    TYPE = "TYPE_MISMATCH"


class FlagError(ValueError):
    """A flag's text has no value of the type that was asked for.

    Args:
        fault: Its kind.
        expected: What would have been one.
    """

    def __init__(self, fault: Fault, expected: str) -> None:
        super().__init__(f"expected {expected}")
        self.fault = fault


def flag(name: str, default: T) -> T:
    """Return what the current request says that a flag is, or the default.

    The type is the default's: boolean, string, integer, float; for JSON objects and arrays dictionary and list.
    A text that has no value of that type is ignored and told.

    Raises:
        TypeError: The default is of another type.
    """
    read = reader(type(default))
    text = current().value(Kind.CONFIG, name)
    if text is None:
        return default
    try:
        return read(text)
    except FlagError as error:
        tell((Problem(f"{Override(Kind.CONFIG, name, text).key}={text}", str(error)),))
        return default


def reader(kind: type[T]) -> Callable[[str], T]:
    """Return what reads a flag's text as a type.

    Raises:
        TypeError: Flags have no such type.
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
    """Read a JSON object or array.

    Raises:
        FlagError: It is none.
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
