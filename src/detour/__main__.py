"""`python -m detour` is the command line."""

from detour.cli import main

main()
