"""Handles SIGINT and SIGTERM in commands that finish something before they end, or that run another program.

Invariant: a signal never raises an exception. asyncio's own handlers are not used: when the loop closes, it
restores Python's handler, which raises KeyboardInterrupt while the process ends.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Final, Self

_NUMBERS: Final = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """The signals that this process receives within the context; needs a running event loop.

    Attributes:
        first: Set by the first signal.
        second: Set by the second one.
    """

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        for number in _NUMBERS:
            signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for number in _NUMBERS:
            signal.signal(number, signal.SIG_DFL)

    async def finish(self, task: "asyncio.Task[None]", *, is_gentle: Callable[[], bool]) -> None:
        """Wait for a task that ends by itself some time after the first signal.

        Args:
            task: The main task of this process.
            is_gentle: Whether the task itself reacts to the first signal; otherwise it is cancelled. The second
                signal ends the process immediately.
        """
        first, second = (asyncio.create_task(one.wait()) for one in (self.first, self.second))
        try:
            await asyncio.wait({task, first}, return_when=asyncio.FIRST_COMPLETED)
            if not (task.done() or is_gentle()):
                task.cancel()
            await asyncio.wait({task, second}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                # The task may be waiting for something that never answers, such as a database.
                os._exit(1)
            with suppress(asyncio.CancelledError):
                await task
        finally:
            first.cancel()
            second.cancel()

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        with suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._note)

    def _note(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


@contextmanager
def child_handles_interrupt() -> Iterator[None]:
    """Let the program in the foreground handle Ctrl-C; this command ends when that program does.

    SIGINT gets an empty handler instead of SIG_IGN, because child processes inherit SIG_IGN.
    """
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def interrupt_raises() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt, so that a prompt for a secret can restore the terminal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
