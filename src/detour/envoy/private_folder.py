"""A private folder for each Envoy: its configuration, and the Unix socket of its admin interface.

Invariant: only the user who runs Envoy can read it, and its path is short enough for a socket. Folders that killed
processes left behind are removed when the next Envoy starts.
"""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = "detour-envoy-"
_PATH_MAX: Final = 80
"""A Unix socket's path has at most 107 bytes (unix(7)), including the socket's own name."""


def private_folder() -> Path:
    """Create a folder that only this user can read.

    Raises:
        OSError: No suitable parent folder exists.
    """
    for parent in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):  # noqa: S108  made with 0700
        if parent and len(os.fsencode(parent)) < _PATH_MAX - len(_PREFIX) and os.access(parent, os.W_OK | os.X_OK):
            _remove_left_behind(Path(parent))
            return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))
    raise OSError(
        "no writable folder for Envoy's files: set XDG_RUNTIME_DIR or TMPDIR to a folder that you can write to"
    )


def remove(folder: Path) -> None:
    """Remove a folder with its content; a missing folder is not an error."""
    shutil.rmtree(folder, ignore_errors=True)


def _remove_left_behind(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        # The folder belongs to another user, or another process is removing it at the same time.
        with suppress(OSError):
            if pid.isdigit() and not Path("/proc", pid).exists() and folder.stat().st_uid == os.getuid():
                remove(folder)
