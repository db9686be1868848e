"""Running the demo's processes: starting them, knowing when they are ready, ending them all.

Invariant: a process ends with the one that started it, however that one ends.
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
    """A process ended, or was not ready in time; the message says which, and its last words."""


class Running(Protocol):
    """A started process: one of ours, or an Envoy."""

    @property
    def returncode(self) -> int | None:
        """The exit status, or None while it runs."""

    async def stop(self) -> None:
        """End it and wait for it; one that has ended already is no error."""


class Process:
    """A program that runs in a process group of its own, so that Ctrl-C reaches only who started it.

    Args:
        name: What people call it.
        environment: The whole of its environment.
        log: Where its output goes.
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
            ProcessError: It ended, or was not ready in time.
        """
        try:
            async with asyncio.timeout(deadline_seconds):
                while not await is_ready():
                    self._check()
                    await asyncio.sleep(_POLL_SECONDS)
                # Another program may have answered in its place.
                self._check()
        except TimeoutError:
            raise ProcessError(
                f"{self._name} was not ready after {deadline_seconds:g} s: {self._last_words()}"
            ) from None

    async def stop(self) -> None:
        """End it and wait for it; one that has ended already is no error."""
        self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    def _check(self) -> None:
        if self.returncode is not None:
            raise ProcessError(f"{self._name} ended with status {self.returncode}: {self._last_words()}")

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it logged nothing"


async def stop_all(processes: Iterable[Running]) -> None:
    """End all at once and wait for them.

    Raises:
        ExceptionGroup: Some could not be ended; the others are.
    """
    results = await asyncio.gather(*(process.stop() for process in processes), return_exceptions=True)
    if failures := [result for result in results if isinstance(result, Exception)]:
        raise ExceptionGroup("processes that could not be ended", failures)
