"""SIGINT and SIGTERM in commands that have something to finish before they end, or run another program.

Invariant: no signal ever raises in the middle of something. Not asyncio's own handlers: when its loop closes they
give way to Python's, which raises KeyboardInterrupt, in a process that is about to end.
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
    """The signals that this process receives while the context lasts; needs a running event loop.

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
            task: What this process is for.
            is_gentle: Whether it knows of the signal; otherwise it is cancelled. The second signal ends the process
                as it is.
        """
        told = [asyncio.create_task(one.wait()) for one in (self.first, self.second)]
        try:
            await asyncio.wait({task, told[0]}, return_when=asyncio.FIRST_COMPLETED)
            if not (task.done() or is_gentle()):
                task.cancel()
            await asyncio.wait({task, told[1]}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                # Whatever it waits for, such as a database that does not answer.
                os._exit(1)
            with suppress(asyncio.CancelledError):
                await task
        finally:
            for one in told:
                one.cancel()

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        with suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._note)

    def _note(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


@contextmanager
def left_to_others() -> Iterator[None]:
    """Leave Ctrl-C to the program that runs in the foreground: this command ends when that one does.

    It is handled rather than ignored: what is ignored would be ignored by that program, too.
    """
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def raised() -> Iterator[None]:
    """Have Ctrl-C raise KeyboardInterrupt: whoever asks for a secret has the terminal to put right."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
