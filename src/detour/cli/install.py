"""`detour install` and `uninstall`: the server in a cluster, without Helm."""

import asyncio
import sys
from typing import Annotated

import typer

from detour import __version__
from detour.cli import cluster as options

Namespaces = Annotated[
    list[str],
    typer.Option(
        "--namespace",
        help="A namespace of the mesh; repeatable. Services of the first one need no namespace in their names.",
        metavar="NAME",
        show_default=False,
    ),
]
ServerNamespace = Annotated[str, typer.Option(help="The namespace of the server.", metavar="NAME")]
Image = Annotated[str, typer.Option(help="The server's image.", metavar="IMAGE")]
Replicas = Annotated[int, typer.Option(help="The number of server pods.", metavar="N")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the manifests and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking for confirmation.")]
DryList = Annotated[bool, typer.Option("--dry-run", help="List what would be deleted and change nothing.")]
Timeout = Annotated[str, typer.Option(help="How long to wait until the server is available.", metavar="TIME")]


def install(
    *,
    namespace: Namespaces,
    server_namespace: ServerNamespace = "detour",
    image: Image = f"detour:{__version__}",
    replicas: Replicas = 2,
    dry_run: DryRun = False,
    timeout: Timeout = "2m",
    kubeconfig: options.Kubeconfig = "",
    kube_context: options.KubeContext = "",
) -> None:
    """Install the server in a Kubernetes cluster.

    Creates the same objects as the Helm chart. --dry-run prints them, for kubectl apply -f -. Run it again to
    upgrade or to change options. detour uninstall removes everything.
    """
    from detour.install import Choices, manifests  # noqa: PLC0415  YAML is slow to import
    from detour.mesh import parse_duration  # noqa: PLC0415  as above

    patience = parse_duration(timeout)
    if replicas < 1:
        raise ValueError(f"--replicas {replicas}: expected at least 1")
    for name in (server_namespace, *namespace):
        _expect_namespace(name)
    objects = manifests(Choices(namespace, server_namespace, image, replicas))
    if dry_run:
        import yaml  # noqa: PLC0415  as above

        typer.echo(yaml.safe_dump_all(objects, sort_keys=False, width=116), nl=False)
        return
    from detour.install.applying import apply, wait_until_available  # noqa: PLC0415  as above
    from detour.kubernetes.config import cluster_config  # noqa: PLC0415  as above

    config = cluster_config(kubeconfig, kube_context)
    asyncio.run(apply(config, server_namespace, objects, typer.echo))
    asyncio.run(wait_until_available(config, server_namespace, patience.total_seconds()))
    typer.echo(f"Detour serves {', '.join(namespace)}.")
    typer.echo(f"To reach its API: kubectl -n {server_namespace} port-forward service/detour 15020")


def uninstall(
    *,
    yes: Yes = False,
    dry_run: DryList = False,
    kubeconfig: options.Kubeconfig = "",
    kube_context: options.KubeContext = "",
) -> None:
    """Remove the server from a Kubernetes cluster.

    Lists what it will delete, and asks for confirmation. Namespaces and offloaded deployments stay.
    """
    from detour.install.removing import find, remove  # noqa: PLC0415  slow to import
    from detour.kubernetes.config import cluster_config  # noqa: PLC0415  as above

    config = cluster_config(kubeconfig, kube_context)
    objects, offloaded = asyncio.run(find(config))
    if not objects:
        typer.echo("Detour is not installed in this cluster.")
        return
    typer.echo("To be deleted:")
    for one in objects:
        typer.echo(f"  {one}")
    if dry_run:
        return
    if not yes:
        _ask()
    asyncio.run(remove(config, objects, typer.echo))
    typer.echo("Pods keep their sidecars until they are restarted: kubectl rollout restart deployment")
    for one in offloaded:
        typer.echo(f"{one} stays, and no longer expires.")


def _ask() -> None:
    """Ask for confirmation.

    Raises:
        ValueError: Standard input is not a terminal.
        RuntimeError: The answer is no.
    """
    if not sys.stdin.isatty():
        raise ValueError("nothing was deleted: cannot ask for confirmation without a terminal; use --yes")
    try:
        agreed = typer.confirm("Delete them?")
    except typer.Abort:
        agreed = False
    if not agreed:
        raise RuntimeError("nothing was deleted")


def _expect_namespace(name: str) -> None:
    if not options.is_dns_label(name):
        raise ValueError(f"{name!r} is not a namespace name: expected lower-case letters, digits and dashes")
