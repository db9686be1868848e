"""`detour bootstrap`: prints the Envoy bootstrap of a sidecar or an edge, for people who run Envoy themselves."""

import json
from typing import Annotated

import typer

from detour.cli import envoys
from detour.cli.option_groups import spread
from detour.envoy import Edge, Sidecar
from detour.mesh import TrustedProxies

IsEdge = Annotated[bool, typer.Option("--edge", help="Print the bootstrap of an edge.")]


@spread
def bootstrap(
    *,
    service: envoys.Service = "",
    app_port: envoys.AppPort = 8080,
    of_sidecar: envoys.SidecarOptions,
    envoy: envoys.EnvoyOptions,
    edge: IsEdge = False,
    of_edge: envoys.EdgeOptions,
) -> None:
    """Print the Envoy bootstrap of a sidecar or an edge.

    The output is JSON for `envoy --config-path`. Use --service for a sidecar, --edge for an edge.
    """
    if bool(service) == edge:
        raise ValueError("give either --service NAME (for a sidecar) or --edge")
    one: Sidecar | Edge
    if edge:
        one = of_edge.edge(of_sidecar.instance or "edge", envoy, of_edge.proxies or TrustedProxies())
    else:
        one = of_sidecar.sidecar(service, app_port, envoy)
    typer.echo(json.dumps(envoys.bootstrap_of(one), indent=2))
