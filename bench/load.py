"""Load on one address, by wrk: as many requests as eight connections in a closed loop make."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from typing import Final

CONNECTIONS: Final = 8
_LONGEST: Final = "1h"
_DRAIN_SECONDS: Final = 0.005
"""Many times what the last few requests take to be answered."""


class LoadError(RuntimeError):
    """wrk is missing, or the load failed; the message says what to do."""


def ensure_wrk() -> None:
    """Install wrk with apt-get if it is missing.

    Raises:
        LoadError: It is missing and can't be installed.
    """
    if shutil.which("wrk"):
        return
    remedy = "wrk is missing: as root, apt-get install wrk"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise LoadError(remedy)
    try:
        for command in (("update",), ("install", "--yes", "--no-install-recommends", "wrk")):
            subprocess.run(["apt-get", "-qq", *command], check=True, timeout=300, stdin=subprocess.DEVNULL)
    except (subprocess.SubprocessError, OSError) as error:
        raise LoadError(f"{remedy} (apt-get failed: {error})") from error


class Load:
    """A wrk that sends requests to a port of 127.0.0.1 while it is let run, and is stopped (SIGSTOP) otherwise.

    So a slice of load may be much shorter than a second, which wrk by itself can't do.

    Args:
        port: Where requests go.
        headers: Of every request. A `Host` must be written so: wrk adds its own to any other spelling.
    """

    def __init__(self, port: int, headers: Mapping[str, str]) -> None:
        options = [text for name, value in headers.items() for text in ("-H", f"{name}: {value}")]
        wrk = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{_LONGEST}", *options, f"http://127.0.0.1:{port}/"]
        # It ends with this process, however that ends: what is stopped takes no other signal.
        with_parent = [setpriv, "--pdeathsig", "KILL"] if (setpriv := shutil.which("setpriv")) else []
        self._wrk = subprocess.Popen(
            [*with_parent, *wrk], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    async def run(self, seconds: float) -> None:
        """Send requests for `seconds`, and return when the last one has been answered.

        Raises:
            LoadError: wrk has ended.
        """
        if self._wrk.poll() is not None:
            raise LoadError(f"wrk ended with status {self._wrk.returncode}")
        self._wrk.send_signal(signal.SIGCONT)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._wrk.send_signal(signal.SIGSTOP)
        await asyncio.sleep(_DRAIN_SECONDS)

    def end(self) -> None:
        """End it."""
        self._wrk.kill()
        self._wrk.wait()
