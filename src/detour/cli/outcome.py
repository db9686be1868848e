"""How a command ends after an error.

Invariant: it prints one line on standard error that says what failed, and exits with status 2. It prints no Python
traceback unless DETOUR_DEBUG is set. If the reader closes the pipe (`detour ... | head`), it ends silently by
SIGPIPE.
"""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn, TextIO, cast

import typer

DEBUG: Final = "DETOUR_DEBUG"
"""If this variable is set, unexpected errors print their traceback."""

_OUTPUT_ERRORS: Final = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG)


def prepare_streams() -> None:
    """Make sure that the standard streams exist, and can print any character."""
    # A stream is None if the shell has closed it (`>&-`).
    sys.stdout = sys.stdout or _null_device()
    sys.stderr = sys.stderr or _null_device()
    sys.stdin = sys.stdin or _null_device("r")
    # Escape characters that the terminal cannot show.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def expect_text(arguments: Sequence[str]) -> None:
    """Refuse arguments that are not text; curl checks its own arguments.

    Raises:
        ValueError: An argument is not in the encoding of this terminal.
    """
    if "curl" in arguments[1:2]:
        return
    for argument in arguments:
        if not argument.isascii() and any("\udc80" <= character <= "\udcff" for character in argument):
            raise ValueError(f"{argument!r} is not text in {sys.getfilesystemencoding()}")


def fail_with(error: Exception) -> NoReturn:
    """Print an error and end this command."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, BrokenPipeError):
        end_by(signal.SIGPIPE)
    if isinstance(error, typer.Abort):
        fail("nothing was entered")
    if isinstance(error, OSError):
        fail(_of_system(error))
    if isinstance(error, ValueError | RuntimeError) and not isinstance(error, RecursionError | NotImplementedError):
        fail(str(error) or repr(error))
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    fail(f"internal error: {error!r}; set {DEBUG}=1 for a traceback, and report it")


def fail(why: str) -> NoReturn:
    """Print a line and end this command with status 2."""
    _flush_output()
    try:
        typer.secho(f"detour: {why}", fg=typer.colors.RED, err=True)
    except OSError:
        # Standard error is closed.
        sys.stderr = _null_device()
    sys.exit(2)


def end_by(number: signal.Signals) -> NoReturn:
    """End this process by a signal, so that the shell sees it."""
    _flush_output()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    sys.exit(128 + number)


def _of_system(error: OSError) -> str:
    if error.strerror is None:
        return str(error)
    if error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    if error.errno in _OUTPUT_ERRORS:
        return f"cannot write the output: {error.strerror}"
    return error.strerror


def _flush_output() -> None:
    """Flush standard output; if that fails here, Python would try again at exit and print a traceback."""
    try:
        sys.stdout.flush()
    except OSError:
        sys.stdout = _null_device()


def _null_device(mode: str = "w") -> TextIO:
    return cast("TextIO", Path(os.devnull).open(mode, encoding="utf-8"))
