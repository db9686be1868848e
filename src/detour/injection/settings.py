"""The settings of injected sidecars in a cluster.

Invariant: frozen values; `detour.injection.plan` reads the labels and annotations of pods.
"""

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """How an application's requests reach its sidecar."""

    EXPLICIT = "explicit"
    """The environment names the sidecar as HTTP proxy (`http_proxy`)."""

    TRANSPARENT = "transparent"
    """The kernel redirects the pod's connections to it, without the help of clients."""

    AUTO = "auto"
    """Transparent where the cluster admits the init container that it needs, explicit elsewhere."""


@dataclass(frozen=True, slots=True)
class InjectionSettings:
    """The settings of injected sidecars.

    Args:
        mode: The mode of pods without an annotation for it.
        refusal: Why the cluster does not admit this pod with the init container of transparent mode: `auto` is then
            explicit mode, and the pod's owner gets a warning. Empty if the cluster admits it.
        control_plane: `host:port` of the control plane's ADS, as pods reach it.
        tls: Whether sidecars and the control plane use mutual TLS.
        tls_secret: The Secret with `tls.crt`, `tls.key` and `ca.crt`, in each pod's own namespace.
        tls_server_name: The DNS name in the control plane's certificate; by default its host.
        native: Whether the cluster has native sidecar containers (Kubernetes 1.29).
        envoy_image: The sidecar's image; without `native` it needs bash.
        detour_image: The image of the init container in transparent mode; it has Detour and iptables.
        cpu_request: A Kubernetes quantity, like the next three; none is set for an empty one.
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
