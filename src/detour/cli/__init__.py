"""The command line: one module a command.

Invariant: what goes wrong is one line that says what failed and what to do, and exit status 2; a command whose
answer is no (a wrong hop in the demo) exits with 1.
"""

from detour.cli.app import main

__all__ = ["main"]
