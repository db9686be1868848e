"""`detour serve`: the control plane."""

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

MeshFile = Annotated[Path, typer.Option("--mesh", help="The mesh file.", metavar="FILE", show_default=False)]


def serve(
    mesh: MeshFile,
    xds: Annotated[str, typer.Option(help="Where Envoys connect.", metavar="IP:PORT")] = "127.0.0.1:15010",
    api: Annotated[str, typer.Option(help="Where the API listens.", metavar="IP:PORT")] = "127.0.0.1:15020",
    state: Annotated[
        Path | None,
        typer.Option(help="Deployments registered at run time [default: beside the mesh file].", metavar="FILE"),
    ] = None,
) -> None:
    """Run the control plane: it tells every sidecar and edge where services and deployments are."""
    from detour.server import Addresses, serve as run  # noqa: PLC0415  a second that other commands need not wait

    console = Console(stderr=True)
    handler = RichHandler(console=console, show_path=False, markup=False)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler])

    def ready(at: Addresses) -> None:
        console.print(f"Detour serves [bold]{mesh}[/] to Envoys at {at.xds}, and its API at http://{at.api}")

    asyncio.run(run(mesh, state or mesh.with_suffix(".state.db"), Addresses(xds, api), ready))
