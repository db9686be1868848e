"""A server with its page in the tests' own process: there at once, gone at once, and back at the same address."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from detour.access import Issuer
from detour.database import Database
from detour.offload.registry import Registry
from detour.server import ControlPlane
from detour.server.api import api
from detour.server.identities import Identities, TokenBook
from server.conftest import control_plane, following


@dataclass(frozen=True)
class Served:
    """Where a page is."""

    url: str
    port: int


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


class _Quiet(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def plane_of(mesh_file: Path) -> AsyncIterator[ControlPlane]:
    """Run a control plane of a mesh file, with what it keeps in a folder above."""
    folder = mesh_file.parent.parent
    with ExitStack() as stack:
        registry = stack.enter_context(Registry(folder / "state.db"))
        database = stack.enter_context(Database(f"sqlite:///{folder}/scenarios.db"))
        plane = control_plane(mesh_file, registry, database)
        try:
            async with following(plane):
                yield plane
        finally:
            await plane.ads.stop()


def page_of(plane: ControlPlane, issuer: Issuer | None = None) -> FastAPI:
    """Return the API of a control plane, with its page."""
    return api(plane, Identities(TokenBook(plane.book.database), issuer))


@asynccontextmanager
async def served(app: FastAPI, port: int = 0) -> AsyncIterator[Served]:
    """Serve an API; who is still listening at the end is cut off."""
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=0)
    server = _Quiet(config)
    listening = socket.create_server(("127.0.0.1", port))
    port = listening.getsockname()[1]
    serving = asyncio.create_task(server.serve([listening]))
    try:
        yield Served(f"http://127.0.0.1:{port}", port)
    finally:
        server.should_exit = True
        await serving
        listening.close()
