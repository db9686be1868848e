"""The whole demo: starts the mesh, plays the story, and ends all processes."""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

import httpx

from detour.client import AsyncClient
from detour.demo.layout import Layout, choose
from detour.demo.machine import left_out
from detour.demo.mesh import Mesh, stages
from detour.demo.narration import Narrator
from detour.demo.player import Player
from detour.demo.ports import Ports
from detour.demo.topology import WHOLE, Registration
from detour.envoy import find_envoy

_RIGHT, _WRONG, _INTERRUPTED = 0, 1, 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TIMEOUT_SECONDS = 10


async def show(once: bool, registrations: Sequence[Registration]) -> int:
    """Run the demo, and return its exit status; see `detour.demo.run`."""
    _cancel_on_signal()
    # Fail before anything is built or started if Envoy is missing.
    find_envoy()
    missing = left_out(WHOLE)
    with Ports() as ports:
        return await _show(choose(ports, WHOLE.without(missing)), missing, once, registrations)


async def _show(
    layout: Layout, missing: Mapping[str, str], once: bool, registrations: Sequence[Registration]
) -> int:
    status = _INTERRUPTED
    narrator = Narrator()
    folder = Path(tempfile.mkdtemp(prefix="detour-demo-"))
    mesh = Mesh(layout, folder)
    try:
        async with mesh:
            with narrator.progress(stages(layout.topology), missing) as advance:
                await mesh.start(advance)
            wrong = await _play(narrator, layout, registrations)
            status = _WRONG if wrong else _RIGHT
            if wrong:
                narrator.evidence(mesh.ended(), mesh.logs)
            if not once:
                narrator.invitation(layout)
                await asyncio.Event().wait()
    except asyncio.CancelledError:
        narrator.farewell()
    except Exception:
        narrator.evidence([], mesh.logs)
        raise
    if status != _WRONG:
        shutil.rmtree(folder)
    return status


async def _play(narrator: Narrator, layout: Layout, registrations: Sequence[Registration]) -> list[str]:
    # The edge is on this machine, so proxies of the environment do not apply.
    outside = httpx.AsyncClient(base_url=layout.edge_url, timeout=_TIMEOUT_SECONDS, trust_env=False)
    async with outside as edge, AsyncClient(layout.api_url, timeout_seconds=_TIMEOUT_SECONDS) as server:
        return await Player(narrator, layout, edge, server).play(registrations)


def _cancel_on_signal() -> None:
    """Cancel this task on the first signal; ignore later ones, so that the shutdown completes.

    The loop's own handlers are not used: when the loop closes, it restores Python's, and another Ctrl-C would print
    a traceback.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def cancel(_number: int, _frame: FrameType | None) -> None:
        for number in _SIGNALS:
            signal.signal(number, _ignore)
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)

    for number in _SIGNALS:
        signal.signal(number, cancel)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Ignore a signal; unlike SIG_IGN, child processes do not inherit this handler."""
