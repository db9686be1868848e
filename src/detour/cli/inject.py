"""`detour inject`: adds sidecars to manifests, for clusters without the webhook."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from detour.cli import addresses
from detour.cli.cluster import SidecarLogLevel, SidecarResources, injection
from detour.injection import InjectionSettings, Mode

_DEFAULTS = InjectionSettings()

File = Annotated[
    str,
    typer.Option(
        "--filename", "-f", help="YAML manifests; - for standard input.", metavar="FILE", show_default=False
    ),
]
Choice = Annotated[
    Mode,
    typer.Option(
        "--mode",
        help="The mode of pods without the annotation detour.dev/mode: auto, explicit or transparent.",
        metavar="MODE",
    ),
]
ControlPlane = Annotated[
    str,
    typer.Option(
        help="The address at which pods reach the server's xDS.",
        metavar="HOST:PORT",
        parser=addresses.host_and_port,
    ),
]
NoTls = Annotated[bool, typer.Option("--no-tls", help="Connect to the server without TLS; needs no Secret.")]
TlsSecret = Annotated[str, typer.Option(help="The Secret with the sidecars' certificate.", metavar="NAME")]
NoNative = Annotated[
    bool, typer.Option("--no-native", help="Use no native sidecar containers, for Kubernetes before 1.29.")
]
EnvoyImage = Annotated[str, typer.Option(help="The sidecar's image.", metavar="IMAGE")]
DetourImage = Annotated[
    str, typer.Option(help="The image with Detour and iptables, for transparent mode.", metavar="IMAGE")
]


def inject(
    *,
    filename: File,
    mode: Choice = _DEFAULTS.mode,
    control_plane: ControlPlane = _DEFAULTS.control_plane,
    no_tls: NoTls = False,
    tls_secret: TlsSecret = _DEFAULTS.tls_secret,
    no_native: NoNative = False,
    envoy_image: EnvoyImage = _DEFAULTS.envoy_image,
    detour_image: DetourImage = _DEFAULTS.detour_image,
    sidecar_resources: SidecarResources = str(_DEFAULTS.resources),
    sidecar_log_level: SidecarLogLevel = _DEFAULTS.log_level,
) -> None:
    """Add sidecars to the pods in Kubernetes manifests.

    It prints the new manifests. Use it in clusters without the webhook: detour inject -f shop.yaml | kubectl apply
    -f -. It adds sidecars to objects of any kind with a pod template, and reports on stderr what it left alone.
    Objects that have a sidecar already, and those without pods, do not change.
    """
    from detour.injection.manifests import inject_manifests  # noqa: PLC0415  YAML is slow to import

    settings = replace(
        injection(
            mode, envoy_image, detour_image, control_plane, resources=sidecar_resources, log_level=sidecar_log_level
        ),
        tls=not no_tls,
        tls_secret=tls_secret,
        native=not no_native,
    )
    try:
        injected = inject_manifests(_read(filename), settings)
    except ValueError as error:
        raise ValueError(f"{'standard input' if filename == '-' else filename}: {error}") from error
    for note in injected.notes:
        typer.echo(note, err=True)
    # As bytes: text would get other line ends on the way.
    typer.echo(injected.text.encode(), nl=False)


def _read(filename: str) -> str:
    """Return the manifests with their own line ends.

    Raises:
        OSError: The file can't be read.
        ValueError: It is not text.
    """
    content = sys.stdin.buffer.read() if filename == "-" else Path(filename).read_bytes()
    return content.decode()
