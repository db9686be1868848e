#!/bin/sh
# The command `detour`. Python takes SIGINT when it starts, and Ctrl-C would show its stack; so SIGINT is blocked until
# the command line lets it through (detour.cli.main). It is not lost: whoever pressed Ctrl-C has it end then.
here=$(readlink -f "$0") && python=${here%/*}/python
[ -x "$python" ] || python=python3
set -- "$python" -P -m detour "$@"  # -P: nothing is imported from the folder that one happens to be in
! env --block-signal=INT true 2>/dev/null || exec env --block-signal=INT "$@"
exec "$@"
