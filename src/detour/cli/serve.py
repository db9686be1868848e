"""`detour serve`: the control plane."""

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from detour.server.cluster import Cluster

MeshFile = Annotated[
    Path | None,
    typer.Option("--mesh", help="The mesh file; needed without --kubernetes.", metavar="FILE", show_default=False),
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
Kubernetes = Annotated[bool, typer.Option("--kubernetes", help="Make the mesh of a cluster's Services.")]
Namespace = Annotated[
    list[str],
    typer.Option(
        help="A namespace of the mesh; repeatable. Services of the first go by their bare names."
        "  [default: the kubeconfig's]",
        metavar="NAME",
        show_default=False,
    ),
]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", help="Take all namespaces into the mesh.")]
Kubeconfig = Annotated[
    str,
    typer.Option(help="How to reach the cluster.  [default: as kubectl does]", metavar="FILE", show_default=False),
]
KubeContext = Annotated[
    str,
    typer.Option(
        "--context", help="Which context of it.  [default: its current one]", metavar="NAME", show_default=False
    ),
]


def serve(
    context: typer.Context,
    *,
    mesh: MeshFile = None,
    xds: Xds = "127.0.0.1:15010",
    api: Api = "127.0.0.1:15020",
    state: State = None,
    kubernetes: Kubernetes = False,
    namespace: Namespace = [],  # noqa: B006  Typer's default
    all_namespaces: AllNamespaces = False,
    kubeconfig: Kubeconfig = "",
    kube_context: KubeContext = "",
) -> None:
    """Run the control plane: the server that sidecars ask.

    It tells every sidecar and edge where services and offloaded deployments are. They come from a mesh file, which
    is read again whenever it changes, or from a Kubernetes cluster.
    """
    mesh = _one_file(mesh, context.args, is_needed=not kubernetes)
    _expect_kubernetes(kubernetes, namespace=namespace, all_namespaces=all_namespaces, kubeconfig=kubeconfig)
    from detour.server import Addresses  # noqa: PLC0415  a second that other commands need not wait
    from detour.server import serve as run  # noqa: PLC0415

    cluster = _cluster(kubeconfig, kube_context, namespace, all_namespaces) if kubernetes else None
    served = " and ".join(filter(None, (str(mesh or ""), f"namespace {cluster.what}" if cluster else "")))

    def ready(at: Addresses) -> None:
        typer.echo(f"Detour serves {served} to Envoys at {at.xds}, and its API at http://{at.api}", err=True)

    _log_to_stderr()
    state = None if cluster else state or _beside(mesh)
    asyncio.run(run(mesh, state, Addresses(xds, api), ready, cluster))


def _one_file(mesh: Path | None, others: list[str], *, is_needed: bool) -> Path | None:
    if mesh is None and (is_needed or others):
        raise ValueError(f"give the mesh file with --mesh: detour serve --mesh {others[0] if others else 'FILE'}")
    if others:
        raise ValueError(f"what is {others[0]!r} for? There is one mesh file, {mesh}")
    return mesh


def _beside(mesh: Path | None) -> Path | None:
    return mesh.parent / f"{mesh.stem}.state.db" if mesh else None


def _expect_kubernetes(kubernetes: bool, **others: object) -> None:
    if given := [name for name, value in others.items() if value and not kubernetes]:
        raise ValueError(f"--{given[0].replace('_', '-')} goes with --kubernetes")


def _cluster(kubeconfig: str, context: str, namespaces: list[str], are_all: bool) -> "Cluster":
    from detour.server.cluster import Cluster, Namespaces, cluster_config  # noqa: PLC0415  as above

    config = cluster_config(kubeconfig, context)
    home, *others = namespaces or [config.namespace]
    return Cluster(config, Namespaces(home, tuple(others), are_all))


def _log_to_stderr() -> None:
    """Log what the server does, and of its libraries what goes wrong."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("detour").setLevel(logging.INFO)
