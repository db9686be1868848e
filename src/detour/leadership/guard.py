"""A coroutine that checks a condition before each step.

A process that was frozen (SIGSTOP, a sleeping machine, a migrated virtual machine) resumes in the middle of its
work, long after another leader has taken over. A timer that cancels the work may fire too late. So the condition is
checked before every step.
"""

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any


class Guarded(Coroutine[Any, Any, None]):
    """Wraps a coroutine, and cancels it instead of continuing it when the condition no longer holds.

    Its cleanup (`finally`) runs without checks.

    Args:
        inner: The coroutine.
        may_continue: The condition, checked before each step.
    """

    def __init__(self, inner: Coroutine[Any, Any, None], may_continue: Callable[[], bool]) -> None:
        self._inner = inner
        self._may_continue = may_continue
        self._is_ending = False

    def send(self, value: Any) -> Any:
        """Continue the coroutine, or cancel it."""
        if self._is_refused():
            return self._inner.throw(asyncio.CancelledError())
        return self._inner.send(value)

    def throw(
        self,
        kind: Any,
        value: Any = None,
        traceback: TracebackType | None = None,
    ) -> Any:
        """Raise an error in the coroutine, or cancel it."""
        error = kind if value is None else value
        if traceback is not None:
            error = error.with_traceback(traceback)
        return self._inner.throw(asyncio.CancelledError() if self._is_refused() else error)

    def close(self) -> None:
        """Close the coroutine."""
        self._inner.close()

    def __await__(self) -> Any:
        return self

    def _is_refused(self) -> bool:
        if self._is_ending or self._may_continue():
            return False
        self._is_ending = True
        return True
