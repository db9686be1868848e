"""What is restarted: `detour sidecar` and `detour edge`, which end in good order on SIGTERM."""

import asyncio
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_READY_SECONDS: Final = 60
_END_SECONDS: Final = 60
_POLL_SECONDS: Final = 0.02


class ComponentError(RuntimeError):
    """A component did not become ready, or did not end; the message has its last words."""


class Component:
    """One process of Detour's that serves a port.

    Args:
        name: What it is called in results: `sidecar` or `edge`.
        port: Where clients reach it.
        arguments: Of `detour`.
        log: Where its output goes.
    """

    def __init__(self, name: str, port: int, arguments: Sequence[str], log: Path) -> None:
        self.name = name
        self.port = port
        setpriv = shutil.which("setpriv")
        ended_with_parent = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
        self._command = [*ended_with_parent, sys.executable, "-m", "detour", *arguments]
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until its port accepts connections.

        Raises:
            ComponentError: It does not.
        """
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        async with asyncio.timeout(_READY_SECONDS):
            while not await self._listens():
                if self._process.returncode is not None:
                    raise ComponentError(f"{self.name} ended: {self._said()}")
                await asyncio.sleep(_POLL_SECONDS)

    async def end(self) -> None:
        """End it in good order, and wait until it has.

        Raises:
            ComponentError: It did not end in time.
        """
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), _END_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise ComponentError(f"{self.name} did not end in {_END_SECONDS} s: {self._said()}") from None

    async def restart(self) -> None:
        """End it in good order, and start it again."""
        await self.end()
        await self.start()

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    def _said(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"
