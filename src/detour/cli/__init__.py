"""The command line: one module for each command.

Invariant: a command that fails prints one line that says what failed and what to do, and exits with status 2. A
command that finds a negative result (a wrong hop in the demo) exits with status 1.
"""

import signal
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; if only the SDK is installed, print how to install the command line."""
    # Before anything is imported: Ctrl-C ends a command like any other program, without a Python traceback.
    # Commands that have something to finish handle the signal themselves (`detour.cli.signals`).
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # `detour.sh` has blocked it
    try:
        from detour.cli.app import main as run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        sys.stderr.write(f"detour: {error.name} is not installed: pip install 'detour-mesh[server]'\n")
        sys.exit(2)
    run()
