"""What a cluster's owner decides about sidecars.

Invariant: frozen values; what a pod says of itself is read elsewhere (`detour.injection.plan`).
"""

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """How an application's requests get to its sidecar."""

    EXPLICIT = "explicit"
    """The application is told to use it as HTTP proxy (`http_proxy`)."""

    TRANSPARENT = "transparent"
    """The kernel leads the pod's connections to it; no client needs to know."""

    AUTO = "auto"
    """Transparent where the cluster admits the init container that it needs, explicit elsewhere."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How pods get their sidecars.

    Args:
        mode: For pods that do not say.
        refusal: Why the cluster does not admit this pod with transparent mode's init container: `auto` then means
            explicit mode, and the pod's owner is warned. Empty where it does.
        control_plane: `host:port` of the control plane's ADS, as pods reach it.
        tls: Whether sidecars and the control plane prove to each other who they are.
        tls_secret: The Secret with `tls.crt`, `tls.key` and `ca.crt`, in each pod's own namespace.
        tls_server_name: The DNS name in the control plane's certificate; by default its host.
        native: Whether the cluster has native sidecar containers (Kubernetes 1.29).
        envoy_image: The sidecar's; where `native` is off it needs bash.
        detour_image: Of the init container in transparent mode; it has Detour and iptables.
        cpu_request: A Kubernetes quantity, as are the three that follow; an empty one sets none.
    """

    mode: Mode = Mode.AUTO
    refusal: str = ""
    control_plane: str = "detour.detour.svc:15010"
    tls: bool = True
    tls_secret: str = "detour-sidecar-tls"  # noqa: S105  a name
    tls_server_name: str = ""
    native: bool = True
    envoy_image: str = "envoyproxy/envoy:v1.40.0"
    detour_image: str = "detour:latest"
    cpu_request: str = "10m"
    memory_request: str = "64Mi"
    cpu_limit: str = "1"
    memory_limit: str = "256Mi"
