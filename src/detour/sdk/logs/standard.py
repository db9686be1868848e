"""Standard logging: which calls are logged, and which handlers they reach, while a request has a level of its own.

Each logger caches in a dictionary which levels are enabled, and consults it first (`Logger.isEnabledFor`). This
module replaces the dictionary, not the method. It so respects other patches of the class, and costs nothing after
the dictionary is restored: an interpreter that has seen a class change a thousand times stops optimising it
(CPython 3.13, `tp_versions_used`). Code that reads the level itself, such as structlog, calls a method that each
logger temporarily gets.

Invariant: `logging.disable`, disabled loggers and filters apply as usual.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial, wraps
from typing import Any, Final

from opentelemetry.context import attach, detach, get_current

from detour.sdk.logs import flights

_ORDINARY_MAX: Final = logging.WARNING


class _Asking:
    """Replaces a logger's cache: also considers the current request, and does not cache the result."""

    __slots__ = ("logger", "ordinary")

    def __init__(self, logger: logging.Logger, ordinary: dict[int, bool]) -> None:
        self.logger = logger
        self.ordinary = ordinary

    def __getitem__(self, level: int) -> bool:
        enabled = self.ordinary.get(level)
        if enabled is None:
            enabled = self.ordinary[level] = self._may(level) and level >= _ordinary_level(self.logger)
        return enabled or (level >= flights.level() and self._may(level))

    def _may(self, level: int) -> bool:
        return level > self.logger.manager.disable

    def __setitem__(self, level: int, enabled: bool) -> None:
        """Accept a result from a thread that consulted the cache before; keep it as long as the cache would."""

    def clear(self) -> None:
        """Clear the cache, because a level was set (`Manager._clear_cache`)."""
        self.ordinary.clear()


def switch(on: bool) -> None:
    """Make all loggers consider the current request, or stop that."""
    if on:
        _extend()
    for logger in _loggers():
        (_ask if on else _forget)(logger)


def _loggers() -> Iterator[logging.Logger]:
    yield logging.root
    for one in tuple(logging.root.manager.loggerDict.values()):
        if isinstance(one, logging.Logger):
            yield one


def _ask(logger: Any) -> None:
    if isinstance(kept := getattr(logger, "_cache", None), dict):
        logger._cache = _Asking(logger, kept)  # noqa: SLF001
        logger.getEffectiveLevel = partial(_level, logger)


def _forget(logger: Any) -> None:
    if isinstance(asking := getattr(logger, "_cache", None), _Asking):
        logger._cache = asking.ordinary  # noqa: SLF001
        with suppress(AttributeError):
            del logger.getEffectiveLevel  # not via `vars`: accessing an object's dictionary makes the object slower


def _level(logger: logging.Logger) -> int:
    return min(_ordinary_level(logger), flights.level())


def _ordinary_level(logger: logging.Logger) -> int:
    return type(logger).getEffectiveLevel(logger)


@cache
def _extend() -> None:
    """Patch loggers that are created meanwhile, and the search for handlers of records that pass by an override.

    Calls that log nothing reach neither patch, so both stay in place.
    """
    kind: Any = logging.Logger
    kind.__init__ = _made(kind.__init__)
    kind.callHandlers = _handled(kind.callHandlers)


def _made(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def __init__(self: logging.Logger, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(self, *args, **kwargs)
        if flights.any_alive():
            _ask(self)

    return __init__


def _handled(
    original: Callable[[logging.Logger, logging.LogRecord], None],
) -> Callable[[logging.Logger, logging.LogRecord], None]:
    @wraps(original)
    def callHandlers(self: logging.Logger, record: logging.LogRecord) -> None:  # noqa: N802
        if flights.any_alive() and record.levelno >= flights.level():
            _handle(self, record, original)
        else:
            original(self, record)

    return callHandlers


def _handle(
    logger: logging.Logger, record: logging.LogRecord, original: Callable[[logging.Logger, logging.LogRecord], None]
) -> None:
    handlers = _handlers(logger)
    threshold = _threshold(logger, handlers)
    if record.levelno >= threshold:
        original(logger, record)
        return
    # Log calls of a handler's own libraries do not belong to the request, and would recurse.
    token = attach(flights.marked(get_current(), None))
    try:
        for handler in handlers:
            if handler.level <= threshold:
                handler.handle(record)
    finally:
        detach(token)


def _handlers(logger: logging.Logger) -> list[logging.Handler]:
    """Return the handlers of a logger's records, as `Logger.callHandlers` finds them."""
    found: list[logging.Handler] = []
    one: logging.Logger | None = logger
    while one:
        found += one.handlers
        one = one.parent if one.propagate else None
    return found or [handler for handler in (logging.lastResort,) if handler]


def _threshold(logger: logging.Logger, handlers: list[logging.Handler]) -> int:
    """Return the level of the logger's ordinary lines: handlers of those receive the request's lines, too.

    If the logger passes everything, its handlers may filter instead. A handler above both levels (mail at ERROR) is
    an alarm, and does not receive more.
    """
    lowest = min((handler.level for handler in handlers), default=logging.NOTSET)
    return max(_ordinary_level(logger), min(lowest, _ORDINARY_MAX))
