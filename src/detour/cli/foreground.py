"""Running one Envoy in the foreground: its start, its log, and an end that loses no request.

Invariant: an Envoy never outlives the command, nothing that it starts is left behind, and however it ends a person
reads one line.
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

    The first SIGTERM or Ctrl-C drains it, the second one ends it at once.

    Raises:
        EnvoyError: It did not become ready, or ended by itself.
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
        told = asyncio.create_task(signals.first.wait())
        try:
            await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
            if not told.done():
                # Raises what went wrong.
                await serving
        finally:
            for task in (serving, told):
                task.cancel()
            await asyncio.gather(serving, told, return_exceptions=True)
        await _drained(process, signals, drain_seconds)


async def _until_it_ends(process: EnvoyProcess, greet: Greet, relaying: "asyncio.Task[None]") -> None:
    """Wait until an Envoy ends.

    Raises:
        EnvoyError: It has.
    """
    ending = asyncio.create_task(process.ended())
    try:
        await process.ready()
        await greet()
        status = await asyncio.shield(ending)
    except EnvoyError:
        if process.returncode is not None:
            # Its reason comes first.
            await relaying
        raise
    finally:
        ending.cancel()
    await relaying
    raise EnvoyError(f"Envoy ended by itself with status {status}; its reason stands above")


async def _drained(process: EnvoyProcess, signals: Signals, seconds: float) -> None:
    draining = asyncio.create_task(process.drain(seconds))
    told = asyncio.create_task(signals.second.wait())
    tasks = {draining, told}
    try:
        done, _ = await asyncio.wait(tasks, timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            _say(
                f"Finishing requests in flight, for at most {seconds:g} s; a second Ctrl-C or SIGTERM ends at once"
            )
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if draining.done() and (left := draining.result()):
            _say(f"Ended after {seconds:g} s with requests still in flight: {left}")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _relayed(process: EnvoyProcess, log: EnvoyLog) -> AsyncIterator["asyncio.Task[None]"]:
    """Print what an Envoy logs, in the words of `EnvoyLog`."""
    away = asyncio.Event()
    tasks = [asyncio.create_task(_relay(process, log, away)), asyncio.create_task(_watch(process, log, away))]
    try:
        yield tasks[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _relay(process: EnvoyProcess, log: EnvoyLog, away: asyncio.Event) -> None:
    assert process.output is not None  # noqa: S101  started so
    reader = asyncio.StreamReader(limit=_LINE_MAX)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), process.output)
    while True:
        try:
            line = await reader.readline()
        except ValueError:
            # Longer than any that Envoy should write.
            continue
        if not line:
            return
        if words := log.read(line.decode(errors="replace")):
            _say(words)
        if log.is_away:
            away.set()
        if log.is_deaf:
            process.end()


async def _watch(process: EnvoyProcess, log: EnvoyLog, away: asyncio.Event) -> None:
    """Say when the control plane is back; Envoy logs only that it is away."""
    while True:
        await away.wait()
        with suppress(OSError):
            if any((await process.admin.stats("^control_plane.connected_state$")).values()):
                _say(log.back())
                away.clear()
                continue
        await asyncio.sleep(_POLL_SECONDS)


async def _greet(greeting: str, advice: Callable[[], str] | None) -> None:
    _say(greeting)
    if advice and (words := await asyncio.to_thread(advice)):
        _say(words)


def _say(words: str) -> None:
    # Envoy goes on also where nobody reads any more.
    with suppress(OSError):
        typer.echo(words, err=True)
