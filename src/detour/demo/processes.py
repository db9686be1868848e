"""Starts the demo's processes, waits until they are ready, and ends them.

Invariant: a process ends when its parent ends, for whatever reason.
"""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from detour.envoy import tied_to_parent

_STOP_SECONDS = 5
_POLL_SECONDS = 0.02


class ProcessError(RuntimeError):
    """A process ended, or was not ready in time; the message has its name and the last line of its log."""


class Running(Protocol):
    """A started process: a `Process` or an Envoy."""

    @property
    def returncode(self) -> int | None:
        """The exit status, or None while it runs."""

    async def stop(self) -> None:
        """End the process and wait for it; does nothing if it has ended already."""


class Process:
    """A program in its own process group, so that Ctrl-C reaches only the demo itself.

    Args:
        name: Its name in messages.
        environment: Its complete environment.
        log: The file for its output.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._name = name
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603
                tied_to_parent(command),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
            )

    @property
    def returncode(self) -> int | None:
        """The exit status, or None while it runs."""
        return self._process.poll()

    async def ready(self, is_ready: Callable[[], Awaitable[bool]], deadline_seconds: float) -> None:
        """Wait until the condition holds.

        Raises:
            ProcessError: The process ended, or was not ready in time.
        """
        try:
            async with asyncio.timeout(deadline_seconds):
                while not await is_ready():
                    self._check()
                    await asyncio.sleep(_POLL_SECONDS)
                # Another program may have answered instead.
                self._check()
        except TimeoutError:
            raise ProcessError(
                f"{self._name} was not ready after {deadline_seconds:g} s: {self._last_line()}"
            ) from None

    async def stop(self) -> None:
        """End the process and wait for it; does nothing if it has ended already."""
        self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    def _check(self) -> None:
        if self.returncode is not None:
            raise ProcessError(f"{self._name} ended with status {self.returncode}: {self._last_line()}")

    def _last_line(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it logged nothing"


async def stop_all(processes: Iterable[Running]) -> None:
    """End all processes concurrently and wait for them.

    Raises:
        ExceptionGroup: Some processes could not be ended; all others have ended.
    """
    results = await asyncio.gather(*(process.stop() for process in processes), return_exceptions=True)
    if failures := [result for result in results if isinstance(result, Exception)]:
        raise ExceptionGroup("processes that could not be ended", failures)
