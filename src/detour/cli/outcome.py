"""How a command ends when something goes wrong.

Invariant: one line on standard error that says what failed, and status 2; never Python's stack, unless DETOUR_DEBUG
asks for it. A reader that closes the pipe (`detour ... | head`) ends it as it ends any other program: in silence.
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
"""The variable that asks for the traceback of an unexpected error."""

_OF_THE_OUTPUT: Final = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG)


def prepare_streams() -> None:
    """Have somewhere to print to, whatever this process was started with."""
    # Python has none at all where the shell has closed it (`>&-`).
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    sys.stdin = sys.stdin or _nowhere("r")
    # A terminal that cannot show a character shows its number.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def expect_text(arguments: Sequence[str]) -> None:
    """Refuse arguments that are no text; those of curl are its own.

    Raises:
        ValueError: One is not in the encoding of this terminal.
    """
    if "curl" in arguments[1:2]:
        return
    for argument in arguments:
        if not argument.isascii() and any("\udc80" <= character <= "\udcff" for character in argument):
            raise ValueError(f"{argument!r} is not text in {sys.getfilesystemencoding()}")


def fail_with(error: Exception) -> NoReturn:
    """End this command because of an error."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, BrokenPipeError):
        die_of(signal.SIGPIPE)
    if isinstance(error, typer.Abort):
        fail("nothing was entered")
    if isinstance(error, OSError):
        fail(_of_system(error))
    if isinstance(error, ValueError | RuntimeError) and not isinstance(error, RecursionError | NotImplementedError):
        fail(str(error) or repr(error))
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    fail(f"this is an error in Detour itself: {error!r}; set {DEBUG}=1 to see where, and report it")


def fail(why: str) -> NoReturn:
    """End this command with a line and status 2."""
    _forget_output()
    try:
        typer.secho(f"detour: {why}", fg=typer.colors.RED, err=True)
    except OSError:
        # Standard error is closed.
        sys.stderr = _nowhere()
    sys.exit(2)


def die_of(number: signal.Signals) -> NoReturn:
    """End as a signal ends a program, so that the shell knows."""
    _forget_output()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    sys.exit(128 + number)


def _of_system(error: OSError) -> str:
    if error.strerror is None:
        return str(error)
    if error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    if error.errno in _OF_THE_OUTPUT:
        return f"the output cannot be written: {error.strerror}"
    return error.strerror


def _forget_output() -> None:
    """Print what could be printed; Python would try again at the end, and show a stack if it can't."""
    try:
        sys.stdout.flush()
    except OSError:
        sys.stdout = _nowhere()


def _nowhere(mode: str = "w") -> TextIO:
    return cast("TextIO", Path(os.devnull).open(mode, encoding="utf-8"))
