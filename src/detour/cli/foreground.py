"""Runs one Envoy in the foreground: starts it, relays its log, and drains it at the end.

Invariant: an Envoy never outlives the command, the command leaves no files or processes behind, and it explains
every failure in one line.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import typer

from detour.cli.envoy_log import EnvoyLog
from detour.cli.signals import Signals
from detour.envoy import Edge, EnvoyError, EnvoyProcess, Sidecar, edge_bootstrap, sidecar_bootstrap, start_envoy
from detour.envoy.private_folder import private_folder, remove

_POLL_SECONDS = 0.5
_LINE_MAX = 2**20

Greet = Callable[[], Awaitable[None]]


async def run(envoy: Sidecar | Edge, greeting: str, drain_seconds: float, advice: Callable[[], str] | None) -> None:
    """Run one Envoy until it ends or this process receives a signal.

    The first SIGTERM or Ctrl-C drains Envoy, the second one ends it immediately.

    Raises:
        EnvoyError: Envoy did not become ready, or ended by itself.
        OSError: Its files can't be written.
    """
    with Signals() as signals:
        folder = private_folder()
        try:
            process = _started(envoy, folder)
            try:
                greet = partial(_greet, greeting, advice)
                await _serve(process, EnvoyLog(envoy.control_plane), greet, signals, drain_seconds)
            finally:
                await process.stop()
        finally:
            remove(folder)


def _started(envoy: Sidecar | Edge, folder: Path) -> EnvoyProcess:
    socket = envoy.admin_socket or str(folder / "admin.sock")
    if isinstance(envoy, Sidecar):
        bootstrap = sidecar_bootstrap(replace(envoy, admin_socket=socket))
    else:
        bootstrap = edge_bootstrap(replace(envoy, admin_socket=socket))
    return start_envoy(bootstrap, piped=True, folder=folder)


async def _serve(
    process: EnvoyProcess, log: EnvoyLog, greet: Greet, signals: Signals, drain_seconds: float
) -> None:
    async with _relayed(process, log) as relaying:
        serving = asyncio.create_task(_until_it_ends(process, greet, relaying))
        signalled = asyncio.create_task(signals.first.wait())
        try:
            await asyncio.wait({serving, signalled}, return_when=asyncio.FIRST_COMPLETED)
            if not signalled.done():
                # Raises the reason.
                await serving
        finally:
            for task in (serving, signalled):
                task.cancel()
            await asyncio.gather(serving, signalled, return_exceptions=True)
        await _drained(process, signals, drain_seconds)


async def _until_it_ends(process: EnvoyProcess, greet: Greet, relaying: "asyncio.Task[None]") -> None:
    """Wait until Envoy ends by itself.

    Raises:
        EnvoyError: Envoy has ended.
    """
    ending = asyncio.create_task(process.ended())
    try:
        await process.ready()
        await greet()
        status = await asyncio.shield(ending)
    except EnvoyError:
        if process.returncode is not None:
            # Print Envoy's own reason first.
            await relaying
        raise
    finally:
        ending.cancel()
    await relaying
    raise EnvoyError(f"Envoy ended with status {status}; its log above says why")


async def _drained(process: EnvoyProcess, signals: Signals, seconds: float) -> None:
    draining = asyncio.create_task(process.drain(seconds))
    signalled = asyncio.create_task(signals.second.wait())
    tasks = {draining, signalled}
    try:
        done, _ = await asyncio.wait(tasks, timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            _say(f"Waiting up to {seconds:g} s for requests in flight; a second Ctrl-C or SIGTERM ends immediately")
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if draining.done() and (left := draining.result()):
            _say(f"Ended after {seconds:g} s with requests still in flight: {left}")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _relayed(process: EnvoyProcess, log: EnvoyLog) -> AsyncIterator["asyncio.Task[None]"]:
    """Print Envoy's log, condensed by `EnvoyLog`."""
    disconnected = asyncio.Event()
    tasks = [
        asyncio.create_task(_relay(process, log, disconnected)),
        asyncio.create_task(_watch(process, log, disconnected)),
    ]
    try:
        yield tasks[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _relay(process: EnvoyProcess, log: EnvoyLog, disconnected: asyncio.Event) -> None:
    assert process.output is not None  # noqa: S101  it was started with a pipe
    reader = asyncio.StreamReader(limit=_LINE_MAX)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), process.output)
    while True:
        try:
            line = await reader.readline()
        except ValueError:
            # Longer than any line that Envoy should write.
            continue
        if not line:
            return
        if words := log.read(line.decode(errors="replace")):
            _say(words)
        if log.is_disconnected:
            disconnected.set()
        if log.has_no_listener:
            process.end()


async def _watch(process: EnvoyProcess, log: EnvoyLog, disconnected: asyncio.Event) -> None:
    """Report when the control plane is back; Envoy logs only the loss of the connection."""
    while True:
        await disconnected.wait()
        with suppress(OSError):
            if any((await process.admin.stats("^control_plane.connected_state$")).values()):
                _say(log.reconnected())
                disconnected.clear()
                continue
        await asyncio.sleep(_POLL_SECONDS)


async def _greet(greeting: str, advice: Callable[[], str] | None) -> None:
    _say(greeting)
    if advice and (words := await asyncio.to_thread(advice)):
        _say(words)


def _say(words: str) -> None:
    # Envoy keeps running even if standard error is closed.
    with suppress(OSError):
        typer.echo(words, err=True)
