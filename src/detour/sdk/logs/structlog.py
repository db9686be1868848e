"""structlog's own filtering (`structlog.make_filtering_bound_logger`), while a request has a level of its own.

structlog creates one class for each level when it is imported; its methods below that level do nothing. Bound
loggers are instances of these classes, so methods are replaced in the classes, and restored later. Loggers on top
of standard logging (`structlog.stdlib.filter_by_level`) need no patch: they consult standard logging.

Invariant: structlog is not imported here, and methods that other code has replaced stay.
"""

import logging
import sys
from collections.abc import Callable
from functools import wraps
from types import MappingProxyType
from typing import Any, Final

from detour.sdk.logs import flights

_METHODS: Final = MappingProxyType(
    {
        "debug": logging.DEBUG,
        "info": logging.INFO,
        "msg": logging.INFO,
        "warning": logging.WARNING,
        "warn": logging.WARNING,
        "error": logging.ERROR,
        "critical": logging.CRITICAL,
        "fatal": logging.CRITICAL,
    }
)
_BY_ARGUMENT: Final = ("log", "alog", "is_enabled_for")

_Method = Callable[..., Any]

_replaced: dict[tuple[type, str], tuple[_Method, _Method]] = {}


def switch(on: bool) -> None:
    """Make its methods consider the current request, or stop that."""
    if on:
        make = getattr(sys.modules.get("structlog"), "make_filtering_bound_logger", None)
        if make:
            _replace(make)
    else:
        _put_back()


def _replace(make: Callable[[int], type]) -> None:
    everything = vars(make(logging.NOTSET))
    for level in sorted(set(_METHODS.values())):
        kind = make(level)
        for name, asking in _asking(level, vars(kind), everything).items():
            _replaced[kind, name] = vars(kind)[name], asking
            setattr(kind, name, asking)


def _put_back() -> None:
    while _replaced:
        (kind, name), (own, asking) = _replaced.popitem()
        if vars(kind).get(name) is asking:
            setattr(kind, name, own)


def _asking(
    level: int, own: MappingProxyType[str, Any], everything: MappingProxyType[str, Any]
) -> dict[str, _Method]:
    """Return the filtered methods of one class by name, each replaced by one that considers the current request."""
    lower = {
        prefix + name: _of(below, own[prefix + name], everything[prefix + name])
        for name, below in _METHODS.items()
        if below < level
        for prefix in ("", "a")
        if prefix + name in own
    }
    return lower | {name: _given(own[name], everything[name]) for name in _BY_ARGUMENT if name in own}


def _of(level: int, own: _Method, everything: _Method) -> _Method:
    @wraps(everything)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return (everything if level >= flights.level() else own)(self, *args, **kwargs)

    return method


def _given(own: _Method, everything: _Method) -> _Method:
    @wraps(everything)
    def method(self: Any, level: int, *args: Any, **kwargs: Any) -> Any:
        return (everything if level >= flights.level() else own)(self, level, *args, **kwargs)

    return method
