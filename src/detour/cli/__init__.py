"""The command line: one module a command.

Invariant: what goes wrong is one line that says what failed and what to do, and exit status 2; a command whose
answer is no (a wrong hop in the demo) exits with 1.
"""

import signal
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; where the package was installed for services alone, say what brings it."""
    # Before anything is loaded: Ctrl-C ends a command as it ends any other program, and not with Python's stack.
    # Commands that have something to finish take the signal themselves (`detour.cli.signals`).
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # `detour.sh` has blocked it
    try:
        from detour.cli.app import main as run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        sys.stderr.write(f"detour: {error.name} is not installed: pip install 'detour-mesh[server]'\n")
        sys.exit(2)
    run()
