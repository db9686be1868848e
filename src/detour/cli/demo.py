"""`detour demo`: a small ride-hailing mesh that shows every hop."""

from typing import Annotated

import typer


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the story instead of staying up.")] = False,
) -> None:
    """Start a small demo mesh, and show how overrides work."""
    from detour.demo import run  # noqa: PLC0415  the demo's libraries are an optional extra

    raise typer.Exit(run(once=once))
