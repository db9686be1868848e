"""`detour serve`: runs the control plane."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from detour.cli import cluster as options
from detour.cli import oidc
from detour.cli.envoys import DrainSeconds
from detour.cli.signals import Signals
from detour.mesh import networks_of

if TYPE_CHECKING:
    from detour.server import Addresses

MeshFile = Annotated[
    Path | None,
    typer.Option(
        "--mesh", help="The mesh file; required without --kubernetes.", metavar="FILE", show_default=False
    ),
]
Xds = Annotated[str, typer.Option(help="The address for Envoys.", metavar="IP:PORT")]
Api = Annotated[str, typer.Option(help="The address of the API and the web page.", metavar="IP:PORT")]
State = Annotated[
    Path | None,
    typer.Option(
        help="The file for deployments registered at run time.  [default: .state.db beside the mesh file]",
        metavar="FILE",
        show_default=False,
    ),
]
Database = Annotated[
    str,
    typer.Option(
        envvar="DETOUR_DATABASE",
        help="The database for scenarios, tokens and the change log: sqlite:///FILE or postgresql://HOST/NAME  "
        "[default: .scenarios.db beside the mesh file]",
        metavar="URL",
        show_default=False,
        show_envvar=True,
    ),
]
Networks = Annotated[
    str,
    typer.Option(
        "--endpoint-networks",
        envvar="DETOUR_ENDPOINT_NETWORKS",
        help="The networks in which endpoints may be registered, such as 10.0.0.0/8,fd00::/8.  [default: private "
        "networks, and loopback if --xds is a loopback address]",
        metavar="NETWORKS",
        show_default=False,
        show_envvar=True,
    ),
]
LogLevel = Annotated[
    str,
    typer.Option(
        envvar="DETOUR_LOG_LEVEL",
        help="What the server logs: debug, info, warning or error.",
        metavar="LEVEL",
        show_envvar=True,
    ),
]
_LOG_LEVELS: Final = ("debug", "info", "warning", "error")


def serve(
    context: typer.Context,
    *,
    mesh: MeshFile = None,
    xds: Xds = "127.0.0.1:15010",
    api: Api = "127.0.0.1:15020",
    state: State = None,
    database: Database = "",
    endpoint_networks: Networks = "",
    oidc_issuer: oidc.Issuer = "",
    oidc_client_id: oidc.ClientId = "",
    oidc_role_claim: oidc.RoleClaim = "roles",
    oidc_name_claim: oidc.NameClaim = "",
    oidc_role: oidc.Roles = [],  # noqa: B006  Typer's default
    kubernetes: options.Kubernetes = False,
    namespace: options.Namespace = [],  # noqa: B006  Typer's default
    all_namespaces: options.AllNamespaces = False,
    kubeconfig: options.Kubeconfig = "",
    kube_context: options.KubeContext = "",
    server_namespace: options.ServerNamespace = "",
    tls: options.Tls = False,
    webhook: options.Webhook = "",
    sidecar_mode: options.SidecarMode = "auto",
    sidecar_image: options.SidecarImage = options.SIDECAR_IMAGE,
    sidecar_resources: options.SidecarResources = options.SIDECAR_RESOURCES,
    sidecar_log_level: options.SidecarLogLevel = options.SIDECAR_LOG_LEVEL,
    detour_image: options.DetourImage = options.DETOUR_IMAGE,
    control_plane: options.ControlPlane = options.CONTROL_PLANE,
    drop_from_copies: options.DropFromCopies = [],  # noqa: B006  Typer's default
    drain_seconds: DrainSeconds = 30,
    log_level: LogLevel = "info",
) -> None:
    """Run the control plane, its API and the web page.

    The control plane configures sidecars and edges with the addresses of services and offloaded deployments. It
    reads services from a mesh file, and again whenever the file changes, or from a Kubernetes cluster.
    """
    if log_level not in _LOG_LEVELS:
        raise ValueError(f"--log-level: expected one of {', '.join(_LOG_LEVELS)}, got {log_level!r}")
    mesh = _one_file(mesh, context.args, is_needed=not kubernetes)
    given = {"namespace": namespace, "all-namespaces": all_namespaces, "kubeconfig": kubeconfig, "tls": tls}
    given |= {"webhook": webhook, "context": kube_context, "drop-from-copies": drop_from_copies}
    _expect_kubernetes(kubernetes, given)
    issuer = oidc.settings(oidc_issuer, oidc_client_id, oidc_role_claim, oidc_name_claim, oidc_role)
    networks = networks_of(endpoint_networks) if endpoint_networks else None
    settings = options.injection(
        sidecar_mode,
        sidecar_image,
        detour_image,
        control_plane,
        resources=sidecar_resources,
        log_level=sidecar_log_level,
    )
    cluster, installed = None, None
    if kubernetes:
        cluster, installed = options.open_cluster(
            kubeconfig,
            kube_context,
            namespace,
            all_namespaces,
            server_namespace=server_namespace,
            webhook=webhook,
            tls=tls,
            settings=settings,
            dropped=drop_from_copies,
        )
    state = None if cluster else state or (_beside(mesh, "state") if mesh else None)
    if not database and mesh and not cluster:
        database = f"sqlite:///{_beside(mesh, 'scenarios')}"
    from detour.server import Addresses  # noqa: PLC0415  a second that other commands need not wait
    from detour.server import serve as run  # noqa: PLC0415

    served = " and ".join(filter(None, (str(mesh or ""), f"namespace {cluster.location}" if cluster else "")))
    _log_to_stderr(log_level)
    start = partial(run, mesh, state, Addresses(xds, api, webhook))
    to_serve = partial(
        start, database=database, issuer=issuer, cluster=cluster, installed=installed, networks=networks
    )
    asyncio.run(_until_stopped(to_serve, served, drain_seconds))


async def _until_stopped(start: Callable[..., Coroutine[Any, Any, None]], served: str, seconds: float) -> None:
    """Serve until a signal; until the server is ready, a signal cancels it.

    Args:
        start: Runs the server; takes the function to call when it is ready, and how a shutdown is requested.
        served: What it serves, for people.
        seconds: Maximum time for requests in progress at shutdown.
    """
    from detour.server import Shutdown  # noqa: PLC0415  as above

    is_ready = False

    def ready(at: "Addresses") -> None:
        nonlocal is_ready
        is_ready = True
        typer.echo(
            f"Detour serves {served} to Envoys at {at.xds}, and its page and API at http://{at.api}", err=True
        )
        if at.webhook:
            typer.echo(f"The injection webhook is at https://{at.webhook}/inject", err=True)

    with Signals() as signals:
        serving = asyncio.create_task(start(ready, shutdown=Shutdown(signals.first, seconds)))
        await signals.finish(serving, is_gentle=lambda: is_ready)


def _one_file(mesh: Path | None, others: list[str], *, is_needed: bool) -> Path | None:
    if mesh is None and (is_needed or others):
        raise ValueError(f"--mesh is missing: detour serve --mesh {others[0] if others else 'FILE'}")
    if others:
        raise ValueError(f"unexpected argument {others[0]!r}: --mesh takes one file")
    return mesh


def _beside(mesh: Path, what: str) -> Path:
    return mesh.parent / f"{mesh.stem}.{what}.db"


def _expect_kubernetes(kubernetes: bool, others: dict[str, object]) -> None:
    if given := [name for name, value in others.items() if value and not kubernetes]:
        raise ValueError(f"--{given[0]} needs --kubernetes")


def _log_to_stderr(level: str) -> None:
    """Log what the server does, and warnings and errors of its libraries."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("detour").setLevel(level.upper())
