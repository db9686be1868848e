"""Following a mesh file as it changes.

Invariant: whatever happens to the file, the last good mesh stays the one that the next change is told
against.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import watchfiles

from detour.discovery.mesh_file.mistakes import MeshFileError
from detour.discovery.mesh_file.reading import content_of, parse
from detour.mesh import Event, Mesh, difference

QUIET_MS = 20
"""A change counts as done when the directory has been quiet this long."""

LONGEST_MS = 80
"""A directory that is never quiet is looked at this often."""

UNASKED_MS = 250
"""How often the file is looked at without a sign: before the watch stands, and where the system gives none."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The file says something else.

    Args:
        events: What leads from the last good mesh to this one; none where only a mistake was undone.
    """

    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """The file cannot be read or has mistakes; the last good mesh holds.

    Args:
        error: What is wrong, a line for each mistake.
    """

    error: MeshFileError


async def watch(file: Path, mesh: Mesh) -> AsyncGenerator[Changed | Rejected]:
    """Tell each change of a mesh file, beginning with those since `mesh` was read from it; never ends by itself.

    Raises:
        OSError: The system refuses to watch the file's directory: it is gone, or a limit of inotify is reached.
    """
    follower = Follower(file, mesh)
    async with aclosing(_signs(file.parent)) as signs:
        async for _ in signs:
            news = await asyncio.to_thread(follower.look)
            if news:
                yield news


async def _signs(directory: Path) -> AsyncGenerator[None]:
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
        raise OSError(f"{directory}: cannot be watched for changes: {error}") from error


class Follower:
    """Compares a mesh file with what it said when it was last looked at; its content alone decides."""

    def __init__(self, file: Path, mesh: Mesh) -> None:
        self._file = file
        self._mesh = mesh
        self._content: bytes | None = None
        self._problem = ""

    def look(self) -> Changed | Rejected | None:
        """Read the file; None if it says what it said before."""
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
