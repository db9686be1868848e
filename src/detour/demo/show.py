"""The demo from its first process to its last: the mesh comes up, its story is told, everything is taken down."""

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
from detour.demo.ports import Ports
from detour.demo.telling import Teller
from detour.demo.topology import WHOLE, Registration
from detour.envoy import find_envoy

_RIGHT, _WRONG, _INTERRUPTED = 0, 1, 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TIMEOUT_SECONDS = 10


async def show(once: bool, registrations: Sequence[Registration]) -> int:
    """Show the demo, and return its exit status; see `detour.demo.run`."""
    _cancel_on_signal()
    # Without it nothing else is worth starting.
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
            wrong = await _tell(narrator, layout, registrations)
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


async def _tell(narrator: Narrator, layout: Layout, registrations: Sequence[Registration]) -> list[str]:
    # Proxies of the environment are for the world outside.
    outside = httpx.AsyncClient(base_url=layout.edge_url, timeout=_TIMEOUT_SECONDS, trust_env=False)
    async with outside as edge, AsyncClient(layout.api_url, timeout_seconds=_TIMEOUT_SECONDS) as server:
        return await Teller(narrator, layout, edge, server).tell(registrations)


def _cancel_on_signal() -> None:
    """Let the first signal cancel this task, and none after that disturb the taking down.

    Not by the loop's own handlers: when it closes, Python's are back, and another Ctrl-C would show a stack.
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
    """Do nothing; programs that are started do not inherit it."""
