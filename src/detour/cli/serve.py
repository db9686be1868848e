"""`detour serve`: the control plane."""

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import typer

MeshFile = Annotated[
    Path | None, typer.Option("--mesh", help="The mesh file.  [required]", metavar="FILE", show_default=False)
]
Xds = Annotated[str, typer.Option(help="Where Envoys connect.", metavar="IP:PORT")]
Api = Annotated[str, typer.Option(help="Where the API listens.", metavar="IP:PORT")]
State = Annotated[
    Path | None,
    typer.Option(
        help="Where deployments registered at run time are kept.  [default: beside the mesh file, as .state.db]",
        metavar="FILE",
        show_default=False,
    ),
]


def serve(
    context: typer.Context,
    mesh: MeshFile = None,
    xds: Xds = "127.0.0.1:15010",
    api: Api = "127.0.0.1:15020",
    state: State = None,
) -> None:
    """Run the control plane: the server that sidecars ask.

    It tells every sidecar and edge where services and offloaded deployments are. The mesh file is read again
    whenever it changes.
    """
    mesh = _one_file(mesh, context.args)
    from detour.server import Addresses  # noqa: PLC0415  a second that other commands need not wait
    from detour.server import serve as run  # noqa: PLC0415

    def ready(at: Addresses) -> None:
        typer.echo(f"Detour serves {mesh} to Envoys at {at.xds}, and its API at http://{at.api}", err=True)

    _log_to_stderr()
    asyncio.run(run(mesh, state or mesh.parent / f"{mesh.stem}.state.db", Addresses(xds, api), ready))


def _one_file(mesh: Path | None, others: list[str]) -> Path:
    if mesh is None:
        raise ValueError(f"give the mesh file with --mesh: detour serve --mesh {others[0] if others else 'FILE'}")
    if others:
        raise ValueError(f"what is {others[0]!r} for? There is one mesh file, {mesh}")
    return mesh


def _log_to_stderr() -> None:
    """Log what the server does, and of its libraries what goes wrong."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("detour").setLevel(logging.INFO)
