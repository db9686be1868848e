"""The options of commands that work with a Kubernetes cluster, and what they mean."""

import os
import re
import socket
from typing import TYPE_CHECKING, Annotated

import typer

from detour.cli import addresses
from detour.injection import Mode, Settings

if TYPE_CHECKING:
    from detour.server.cluster import Cluster
    from detour.server.installation import Installed

_DEFAULTS = Settings()
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)

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
    typer.Option("--context", help="Which of its contexts.  [default: its current one]", metavar="NAME"),
]
Webhook = Annotated[
    str, typer.Option(help="Where the webhook listens that gives pods their sidecars.", metavar="IP:PORT")
]
Tls = Annotated[bool, typer.Option("--tls", help="Mutual TLS with Envoys; certificates are kept in the cluster.")]
ServerNamespace = Annotated[
    str,
    typer.Option(
        help="Where the server's own objects are.  [default: the pod's, or the first --namespace]", metavar="NAME"
    ),
]
SidecarMode = Annotated[
    str, typer.Option(help="For pods that do not say: auto, explicit or transparent.", metavar="MODE")
]
SidecarImage = Annotated[str, typer.Option(help="What sidecars run.", metavar="IMAGE")]
DetourImage = Annotated[str, typer.Option(help="What redirects pods in transparent mode.", metavar="IMAGE")]
ControlPlane = Annotated[
    str,
    typer.Option(
        help="Where sidecars reach this server's xDS.", metavar="HOST:PORT", parser=addresses.host_and_port
    ),
]

SIDECAR_IMAGE = _DEFAULTS.envoy_image
DETOUR_IMAGE = _DEFAULTS.detour_image
CONTROL_PLANE = _DEFAULTS.control_plane


def is_dns_label(text: str) -> bool:
    """Say whether a text can name a namespace (RFC 1123)."""
    return _DNS_LABEL.fullmatch(text) is not None


def injection(mode: str, sidecar_image: str, detour_image: str, control_plane: str) -> Settings:
    """Return how pods get their sidecars.

    Raises:
        ValueError: There is no such mode.
    """
    if mode not in list(Mode):
        raise ValueError(f"--sidecar-mode {mode!r} is none of {', '.join(Mode)}")
    return Settings(Mode(mode), control_plane=control_plane, envoy_image=sidecar_image, detour_image=detour_image)


def open_cluster(
    kubeconfig: str,
    context: str,
    namespaces: list[str],
    are_all: bool,
    *,
    server_namespace: str,
    webhook: str,
    tls: bool,
    settings: Settings,
) -> "tuple[Cluster, Installed]":
    """Find the cluster, and say who this server is there.

    Raises:
        OSError: There is none.
    """
    from detour.kubernetes.config import cluster_config  # noqa: PLC0415  slow to import
    from detour.server.cluster import Cluster, Namespaces  # noqa: PLC0415  as above
    from detour.server.installation import Installed, Replica  # noqa: PLC0415  as above

    config = cluster_config(kubeconfig, context)
    home, *others = namespaces or [config.namespace]
    meshed = Namespaces(home, tuple(others), are_all)
    cluster = Cluster(config, meshed)
    own = server_namespace or os.environ.get("POD_NAMESPACE", "") or home
    identity = os.environ.get("POD_NAME", "") or socket.gethostname()
    replica = Replica(own, identity, webhook, tls, settings)
    return cluster, Installed(config, replica, cluster.naming, meshed.watched)
