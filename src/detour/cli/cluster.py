"""The options that commands for Kubernetes clusters share, and what they are resolved to."""

import os
import re
import socket
from typing import TYPE_CHECKING, Annotated

import typer

from detour.cli import addresses
from detour.injection import LOG_LEVELS, InjectionSettings, Mode, Resources

if TYPE_CHECKING:
    from detour.server.cluster import Cluster
    from detour.server.installation import Installed

_DEFAULTS = InjectionSettings()
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)

Kubernetes = Annotated[bool, typer.Option("--kubernetes", help="Build the mesh from the Services of a cluster.")]
Namespace = Annotated[
    list[str],
    typer.Option(
        help="A namespace of the mesh; repeatable. Services of the first one need no namespace in their names."
        "  [default: the kubeconfig's]",
        metavar="NAME",
        show_default=False,
    ),
]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", help="Include all namespaces in the mesh.")]
Kubeconfig = Annotated[
    str,
    typer.Option(help="The kubeconfig file.  [default: as for kubectl]", metavar="FILE", show_default=False),
]
KubeContext = Annotated[
    str,
    typer.Option("--context", help="The kubeconfig context.  [default: the current one]", metavar="NAME"),
]
Webhook = Annotated[
    str, typer.Option(help="The address of the webhook that injects sidecars into pods.", metavar="IP:PORT")
]
Tls = Annotated[
    bool, typer.Option("--tls", help="Use mutual TLS with Envoys; certificates are Secrets of the cluster.")
]
ServerNamespace = Annotated[
    str,
    typer.Option(
        help="The namespace of the server's own objects.  [default: the pod's, or the first --namespace]",
        metavar="NAME",
    ),
]
SidecarMode = Annotated[
    str,
    typer.Option(
        help="The injection mode of pods without the annotation detour.dev/mode: auto, explicit or transparent.",
        metavar="MODE",
    ),
]
SidecarImage = Annotated[str, typer.Option(help="The image of sidecars.", metavar="IMAGE")]
DetourImage = Annotated[
    str, typer.Option(help="The image of the init container in transparent mode.", metavar="IMAGE")
]
DropFromCopies = Annotated[
    list[str],
    typer.Option(
        help="A label or annotation by which a controller claims objects: copies do not get it. Repeatable; DOMAIN/"
        " stands for all of a domain.",
        metavar="KEY",
        show_default=False,
    ),
]
ControlPlane = Annotated[
    str,
    typer.Option(
        help="The address at which sidecars reach this server's xDS.",
        metavar="HOST:PORT",
        parser=addresses.host_and_port,
    ),
]

SidecarResources = Annotated[
    str,
    typer.Option(
        "--sidecar-resources",
        help="The resources of sidecars; what is missing in the list is not set.",
        metavar="LIST",
    ),
]
SidecarLogLevel = Annotated[
    str,
    typer.Option(
        "--sidecar-log-level", help=f"The log level of sidecars: {', '.join(LOG_LEVELS)}.", metavar="LEVEL"
    ),
]

SIDECAR_RESOURCES = str(_DEFAULTS.resources)
SIDECAR_LOG_LEVEL = _DEFAULTS.log_level
SIDECAR_IMAGE = _DEFAULTS.envoy_image
DETOUR_IMAGE = _DEFAULTS.detour_image
CONTROL_PLANE = _DEFAULTS.control_plane


def is_dns_label(text: str) -> bool:
    """Return whether a text is a valid namespace name (RFC 1123)."""
    return _DNS_LABEL.fullmatch(text) is not None


def injection(
    mode: str,
    sidecar_image: str,
    detour_image: str,
    control_plane: str,
    *,
    resources: str = SIDECAR_RESOURCES,
    log_level: str = SIDECAR_LOG_LEVEL,
) -> InjectionSettings:
    """Return the settings of sidecar injection.

    Raises:
        ValueError: The mode or the log level is unknown, or the resources are not readable.
    """
    if mode not in list(Mode):
        raise ValueError(f"--sidecar-mode: expected one of {', '.join(Mode)}, got {mode!r}")
    if log_level not in LOG_LEVELS:
        raise ValueError(f"--sidecar-log-level: expected one of {', '.join(LOG_LEVELS)}, got {log_level!r}")
    return InjectionSettings(
        Mode(mode),
        control_plane=control_plane,
        envoy_image=sidecar_image,
        detour_image=detour_image,
        resources=_resources(resources),
        log_level=log_level,
    )


def _resources(text: str) -> Resources:
    try:
        return Resources.parse(text)
    except ValueError as error:
        raise ValueError(f"--sidecar-resources: {error}") from error


def open_cluster(
    kubeconfig: str,
    context: str,
    namespaces: list[str],
    are_all: bool,
    *,
    server_namespace: str,
    webhook: str,
    tls: bool,
    settings: InjectionSettings,
    dropped: list[str],
) -> "tuple[Cluster, Installed]":
    """Return the cluster, and the installation that this server is a replica of.

    Raises:
        OSError: The cluster's configuration can't be read.
        ValueError: One of the keys to drop is not a key.
    """
    from detour.kubernetes.config import cluster_config  # noqa: PLC0415  slow to import
    from detour.offload.kubernetes.claims import Claims  # noqa: PLC0415  as above
    from detour.server.cluster import Cluster, Namespaces  # noqa: PLC0415  as above
    from detour.server.installation import Installed, Replica  # noqa: PLC0415  as above

    claims = Claims(tuple(dropped))
    config = cluster_config(kubeconfig, context)
    home, *others = namespaces or [config.namespace]
    meshed = Namespaces(home, tuple(others), are_all)
    cluster = Cluster(config, meshed, claims)
    own = server_namespace or os.environ.get("POD_NAMESPACE", "") or home
    identity = os.environ.get("POD_NAME", "") or socket.gethostname()
    replica = Replica(own, identity, webhook, tls, settings)
    return cluster, Installed(config, replica, cluster.naming, meshed.watched, cluster.services)
