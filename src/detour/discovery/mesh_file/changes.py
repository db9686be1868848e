"""Following a mesh file as it changes.

Invariant: whatever happens to the file, each change is the difference from the last valid mesh.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import watchfiles

from detour.discovery.mesh_file.mistakes import MeshFileError
from detour.discovery.mesh_file.reading import content_of, parse
from detour.mesh import Mesh, MeshEvent, difference
from detour.reason import reason_of

QUIET_MS = 20
"""A change counts as done when the directory has been quiet this long."""

LONGEST_MS = 80
"""How often a directory that is never quiet is checked."""

UNASKED_MS = 250
"""How often the file is checked without a notification: before the watch works, and where the system sends none."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The file describes another mesh.

    Args:
        events: The changes from the last valid mesh to this one; empty if the file is merely valid again.
    """

    events: tuple[MeshEvent, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """The file is unreadable or has mistakes; the last valid mesh stays in force.

    Args:
        error: The mistakes, a line each.
    """

    error: MeshFileError


async def watch(file: Path, mesh: Mesh) -> AsyncGenerator[Changed | Rejected]:
    """Yield each change of a mesh file, beginning with those since `mesh` was read from it; never ends by itself.

    Raises:
        OSError: The directory of the file cannot be watched: it was removed, or inotify has reached a limit.
    """
    follower = Follower(file, mesh)
    async with aclosing(_notifications(file.parent)) as notifications:
        async for _ in notifications:
            change = await asyncio.to_thread(follower.check)
            if change:
                yield change


async def _notifications(directory: Path) -> AsyncGenerator[None]:
    """Yield whenever a file of the directory may have changed, and every `UNASKED_MS`.

    The directory is watched, not the file: an editor replaces a file by renaming another, and a mounted
    ConfigMap is a link whose target changes. For the same reason no name is filtered out.
    """
    try:
        async for _ in watchfiles.awatch(
            directory,
            watch_filter=None,
            debounce=LONGEST_MS,
            step=QUIET_MS,
            rust_timeout=UNASKED_MS,
            yield_on_timeout=True,
            recursive=False,
        ):
            yield
    except (OSError, RuntimeError) as error:
        raise OSError(f"{directory}: cannot be watched for changes: {reason_of(error)}") from error


class Follower:
    """Compares the content of a mesh file with that of the last check."""

    def __init__(self, file: Path, mesh: Mesh) -> None:
        self._file = file
        self._mesh = mesh
        self._content: bytes | None = None
        self._problem = ""

    def check(self) -> Changed | Rejected | None:
        """Read the file; None if nothing has changed."""
        try:
            mesh = self._read()
        except MeshFileError as error:
            return self._reject(error)
        return self._accept(mesh) if mesh else None

    def _read(self) -> Mesh | None:
        before, self._content = self._content, None
        self._content = content_of(self._file)
        return parse(self._content, self._file) if self._content != before else None

    def _reject(self, error: MeshFileError) -> Rejected | None:
        before, self._problem = self._problem, str(error)
        return Rejected(error) if self._problem != before else None

    def _accept(self, mesh: Mesh) -> Changed | None:
        was_rejected, events = self._problem != "", difference(self._mesh, mesh)
        self._mesh, self._problem = mesh, ""
        return Changed(events) if events or was_rejected else None
