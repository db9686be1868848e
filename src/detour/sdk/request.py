"""The overrides of the current request.

They are stored in OpenTelemetry's baggage, where its instrumentations and other code can find them, too.

Invariant: reading never raises an exception. Unreadable overrides are ignored and reported once.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

from opentelemetry import baggage
from opentelemetry.context import Context, attach, detach, get_current

from detour.overrides import PREFIX, OverrideProblem, Overrides, Parsed, own_key, parse_words, read_entries
from detour.sdk.scope import Scope, scope_of, with_scope

_logger = logging.getLogger(__name__)

NONE: Final = Overrides()
_NOTHING: Final = Parsed(NONE)

_Entry = tuple[str, str]

_REPORTED_MAX = 3

_marks: list[Callable[[Context, Overrides], Context]] = []


def current() -> Overrides:
    """Return the overrides of the current request; an empty set without a request or overrides."""
    entries = baggage.get_all()
    return _in_scope(entries, get_current()) if entries else NONE


def carried_in(context: Context) -> Overrides:
    """Return the overrides in an OpenTelemetry context. Those that have ended are reported and left out."""
    entries = baggage.get_all(context)
    return _in_scope(entries, context) if entries else NONE


def _in_scope(entries: Mapping[str, object], context: Context) -> Overrides:
    overrides = _of(entries)
    scope = scope_of(context) if overrides else None
    if scope is None or not scope.over():
        return overrides
    scope.report(overrides)
    return NONE


@contextmanager
def using(*overrides: Overrides | str) -> Iterator[Overrides]:
    """Run a block with these overrides and no others, in tests and scripts.

    Work that the block starts and leaves behind keeps them for `DETOUR_AFTER_RESPONSE`, as after a request.

        with using("users=pr-42", "config.new-checkout=on"):
            requests.get("http://rides/rides")

    Args:
        overrides: Sets of overrides, or words as on the command line; of two with one key the later one wins.

    Raises:
        ValueError: A word is not an override.
    """
    chosen = NONE
    for one in overrides:
        chosen = (parse_words([one]) if isinstance(one, str) else one).over(chosen)
    scope = Scope(seen=True, shared=True)
    try:
        with under(chosen, scope):
            yield chosen
    finally:
        scope.complete()


@contextmanager
def under(overrides: Overrides, scope: Scope) -> Iterator[None]:
    """Run a block with these overrides and no others; they apply as long as the scope."""
    token = attach(replaced(with_scope(get_current(), scope), overrides))
    try:
        yield
    finally:
        detach(token)


def without(context: Context) -> Context:
    """Return the context without the overrides of any request; the trace and other baggage stay."""
    return with_scope(replaced(context, NONE), None)


def replaced(context: Context, overrides: Overrides) -> Context:
    """Return the context with these overrides instead of its own; other baggage stays."""
    for key in baggage.get_all(context):
        if key.startswith(PREFIX) and key not in overrides.by_key:
            context = baggage.remove_baggage(key, context)
    return added(context, overrides)


def added(context: Context, overrides: Overrides) -> Context:
    """Return the context with these overrides in addition to its own."""
    for one in overrides:
        context = baggage.set_baggage(one.key, one.value, context)
    for mark in _marks:
        context = mark(context, overrides)
    return context


def on_begin(mark: Callable[[Context, Overrides], Context]) -> None:
    """Register a function that is called for each request, with its context and its overrides.

    It returns the context, possibly extended. It must be fast and must not raise an exception.
    """
    _marks.append(mark)


def parsed_in(context: Context) -> Parsed:
    """Return all overrides in a context, including unreadable ones and those that have ended."""
    return _parsed(baggage.get_all(context))


def with_parsed(context: Context, parsed: Parsed) -> Context:
    """Return the context with these overrides instead of its own, including unreadable ones."""
    for key in baggage.get_all(context):
        if own_key(key) and key not in parsed.unread:
            context = baggage.remove_baggage(key, context)
    for key, text in parsed.unread.items():
        context = baggage.set_baggage(key, text, context)
    return added(context, parsed.overrides)


def _of(entries: Mapping[str, object]) -> Overrides:
    return _parsed(entries).overrides


def _parsed(entries: Mapping[str, object]) -> Parsed:
    own = tuple((key, value) for key, value in entries.items() if key.startswith(PREFIX) and isinstance(value, str))
    return _read(own) if own else _NOTHING


@lru_cache(maxsize=1024)
def _read(entries: tuple[_Entry, ...]) -> Parsed:
    """Parse entries; cached, because a request reads its overrides many times."""
    parsed = read_entries(entries)
    report_problems(parsed.problems)
    return parsed


@lru_cache(maxsize=1024)
def report_problems(problems: tuple[OverrideProblem, ...]) -> None:
    """Log what is ignored in a request, each problem once: a faulty client sends it in every request."""
    if problems:
        _logger.warning("of a request's overrides %s", "; ".join(map(str, problems[:_REPORTED_MAX])))
