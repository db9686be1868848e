#!/bin/sh
# The command `kubectl-detour`. Between its start and the setup of the command line, Python would print a traceback on Ctrl-C. So
# SIGINT is blocked until the command line unblocks it (detour.cli.main). A Ctrl-C in between takes effect then.
here=$(readlink -f "$0") && python=${here%/*}/python
[ -x "$python" ] || python=python3
set -- "$python" -P -m detour "$@"  # -P: import nothing from the current folder
! env --block-signal=INT true 2>/dev/null || exec env --block-signal=INT "$@"
exec "$@"
