"""A folder of its own for each Envoy: its configuration, and the Unix socket of its admin interface.

Invariant: only the user who runs Envoy can look into it, and its path is short enough for a socket. What a killed
process has left behind goes when the next one starts.
"""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = "detour-envoy-"
_PATH_MAX: Final = 80
"""A Unix socket's path has at most 107 bytes (unix(7)); the socket's own name has to fit behind it."""


def private_folder() -> Path:
    """Make a folder that only this user can look into.

    Raises:
        OSError: There is no place for one.
    """
    for parent in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):  # noqa: S108  made with 0700
        if parent and len(os.fsencode(parent)) < _PATH_MAX - len(_PREFIX) and os.access(parent, os.W_OK | os.X_OK):
            _remove_left_behind(Path(parent))
            return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))
    raise OSError(
        "there is no folder for Envoy's files: set XDG_RUNTIME_DIR or TMPDIR to one that you can write to"
    )


def remove(folder: Path) -> None:
    """Remove a folder with what is in it; one that is gone is no error."""
    shutil.rmtree(folder, ignore_errors=True)


def _remove_left_behind(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        # A folder of another user's, in a place that is everybody's, or one that goes at the same moment.
        with suppress(OSError):
            if pid.isdigit() and not Path("/proc", pid).exists() and folder.stat().st_uid == os.getuid():
                remove(folder)
