"""`detour demo`: a small ride-hailing mesh that shows every hop."""

from typing import Annotated

import typer


def demo(
    once: Annotated[bool, typer.Option("--once", help="Play the story and end, instead of staying up.")] = False,
) -> None:
    """Bring up a mesh of real services and sidecars, and play its story."""
    from detour.demo import run  # noqa: PLC0415  the demo's libraries are an extra

    raise typer.Exit(run(once=once))
