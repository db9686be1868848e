"""The current thread or task, and its description for people.

Invariant: nothing here raises an exception or imports a module.
"""

import sys
import threading
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any, Final

_PLUMBING: Final = (
    "/asyncio/",
    "/concurrent/futures/",
    "/detour/sdk/",
    "/gevent/",
    "/greenlet/",
    "/opentelemetry/",
    "/threading.py",
    "/wrapt/",
    "<frozen runpy>",
)
"""Code that only starts other code."""


def carrier() -> object:
    """Return the current task, or the current thread outside of tasks; always the same object for one of them."""
    return _task() or threading.current_thread()


def description() -> str:
    """Describe the current thread or task and its code: `thread 'refresher' (app/cache.py:17 refresh)`."""
    task = _task()
    if task is not None:
        return f"task {task.get_name()!r}{_place(_task_code(task))}"
    return f"thread {threading.current_thread().name!r}{_place(_outermost_code())}"


def _task() -> Any:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs here
        return None


def _task_code(task: Any) -> CodeType | None:
    coroutine = task.get_coro()
    return next((found for name in ("cr_code", "gi_code") if (found := getattr(coroutine, name, None))), None)


def _outermost_code() -> CodeType | None:
    """Return the outermost code that is not infrastructure; in an event loop's callback, the callback's."""
    found: CodeType | None = None
    for code in _codes():  # from the inside out
        if code.co_filename.endswith("asyncio/events.py") and found:
            return found
        if not any(part in code.co_filename for part in _PLUMBING):
            found = code
    return found


def _codes() -> Iterator[CodeType]:
    frame: FrameType | None = sys._getframe()  # noqa: SLF001  the documented way, beside `inspect` that is slow to import
    while frame:
        yield frame.f_code
        frame = frame.f_back


def _place(code: CodeType | None) -> str:
    return f" ({code.co_filename}:{code.co_firstlineno} {code.co_qualname})" if code else ""
