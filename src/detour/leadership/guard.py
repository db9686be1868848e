"""A coroutine that takes no step without leave.

A process that was frozen (SIGSTOP, a machine that slept, a virtual machine that moved) goes on in the middle of
what it did, long after others have taken over. A timer that would cancel it may come second. So leave is asked for
before every single step.
"""

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any


class Guarded(Coroutine[Any, Any, None]):
    """Another coroutine, cancelled instead of continued as soon as it has no leave.

    What it does while it ends (`finally`) is not hindered.

    Args:
        inner: The coroutine.
        has_leave: Asked before each step.
    """

    def __init__(self, inner: Coroutine[Any, Any, None], has_leave: Callable[[], bool]) -> None:
        self._inner = inner
        self._has_leave = has_leave
        self._is_ending = False

    def send(self, value: Any) -> Any:
        """Go on, or be cancelled."""
        if self._is_refused():
            return self._inner.throw(asyncio.CancelledError())
        return self._inner.send(value)

    def throw(
        self,
        kind: Any,
        value: Any = None,
        traceback: TracebackType | None = None,
    ) -> Any:
        """Go on with an error, or be cancelled."""
        error = kind if value is None else value
        if traceback is not None:
            error = error.with_traceback(traceback)
        return self._inner.throw(asyncio.CancelledError() if self._is_refused() else error)

    def close(self) -> None:
        """End."""
        self._inner.close()

    def __await__(self) -> Any:
        return self

    def _is_refused(self) -> bool:
        if self._is_ending or self._has_leave():
            return False
        self._is_ending = True
        return True
