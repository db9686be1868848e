"""How long a request's overrides apply: while it is served, and for a limited time after its response is complete.

Work that a request starts copies its context, and may run for ever: a cache refresh, a pool's thread, a scheduler.
The scope is stored in the same context, so that code with the overrides also knows when they have ended.

Invariant: every scope ends, and no timer, thread or task exists because of one.
"""

import logging
import os
import re
from collections.abc import Iterable
from functools import cache
from time import monotonic
from typing import Final
from weakref import ref

from opentelemetry.context import Context, create_key, get_value, set_value

from detour.overrides import Override
from detour.sdk.carrier import carrier, description

_logger = logging.getLogger(__name__)

_KEY: Final = create_key("detour-scope")
_VARIABLE: Final = "DETOUR_AFTER_RESPONSE"
_DEFAULT_SECONDS: Final = 60.0
_SECONDS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_TEXT: Final = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|m|h)?", re.ASCII)
_REPORTS_MAX: Final = 16
"""Maximum number of reports per request: a loop may start a new task in each iteration."""


class Scope:
    """The time in which the overrides of one request apply.

    Args:
        seen: Whether the SDK observes the request's end and calls `complete`. If not, the time counts from when the
            thread or task that read the request's headers last used the overrides.
        shared: Whether in-process requests without overrides of their own belong to the scope.
    """

    __slots__ = ("__weakref__", "_reader", "_reported", "_since", "seen", "shared")

    def __init__(self, *, seen: bool, shared: bool = False) -> None:
        self.seen = seen
        self.shared = shared
        self._since = None if seen else monotonic()
        self._reader = None if seen else ref(carrier())
        self._reported: set[str] = set()

    def complete(self) -> None:
        """Start the time limit: the response is complete."""
        if self.seen and self._since is None:
            self._since = monotonic()
            self.shared = False

    @property
    def completed(self) -> bool:
        """Whether the response is complete."""
        return self.seen and self._since is not None

    def over(self) -> bool:
        """Return whether the overrides have ended for the current thread or task."""
        if self._since is None:
            return False
        if self._reader is not None and self._reader() is carrier():
            self._since = monotonic()
            return False
        return monotonic() - self._since >= after_response()

    def report(self, overrides: Iterable[Override]) -> None:
        """Warn that the current thread or task has outlived the request, once for each place in the code."""
        name = description()
        place = name.partition(" (")[2] or name
        if place in self._reported or len(self._reported) >= _REPORTS_MAX:
            return
        self._reported.add(place)
        _logger.warning(
            "%s outlived its request by more than %g s: it no longer carries %s. "
            "If it is meant to outlive requests, start it within detour.sdk.detached()",
            name,
            after_response(),
            ", ".join(f"{one.key}={one.value}" for one in overrides),
        )


def scope_of(context: Context) -> Scope | None:
    """Return the scope of a context's overrides; None if other code has set them without one."""
    found = get_value(_KEY, context)
    return found if isinstance(found, Scope) else None


def with_scope(context: Context, scope: Scope | None) -> Context:
    """Return the context with this scope for its overrides."""
    return context if scope_of(context) is scope else set_value(_KEY, scope, context)


def after_response() -> float:
    """Return how many seconds overrides apply after the response, according to `DETOUR_AFTER_RESPONSE`."""
    return _seconds(os.environ.get(_VARIABLE, ""))


@cache
def _seconds(text: str) -> float:
    if not text.strip():
        return _DEFAULT_SECONDS
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        _logger.warning("%s=%s is ignored: expected a time such as 60, 60s or 500ms; using 60 s", _VARIABLE, text)
        return _DEFAULT_SECONDS
    return float(found[1]) * _SECONDS[found[2] or ""]
