"""The settings of injected sidecars in a cluster.

Invariant: frozen values; `detour.injection.plan` reads the labels and annotations of pods.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from detour.injection.resources import Resources
from detour.injection.service_name import SelectingService

LOG_LEVELS: Final = ("trace", "debug", "info", "warning", "error", "critical", "off")
"""Envoy's log levels."""

ENVOY_IMAGE: Final = "envoyproxy/envoy:v1.40.0"
LOG_LEVEL: Final = "warning"


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
        resources: The resources of the sidecar and of the init container.
        log_level: The level of the sidecar's log.
        services: The Services of the pod's namespace, which name its sidecar.
        limit_ranges: The LimitRanges of the pod's namespace, as JSON: the resources are adapted to them.
    """

    mode: Mode = Mode.AUTO
    refusal: str = ""
    control_plane: str = "detour.detour.svc:15010"
    tls: bool = True
    tls_secret: str = "detour-sidecar-tls"  # noqa: S105  a name
    tls_server_name: str = ""
    native: bool = True
    envoy_image: str = ENVOY_IMAGE
    detour_image: str = "detour:latest"
    resources: Resources = field(default_factory=Resources)
    log_level: str = LOG_LEVEL
    services: tuple[SelectingService, ...] = ()
    limit_ranges: tuple[dict[str, Any], ...] = ()
