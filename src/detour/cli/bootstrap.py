"""`detour bootstrap`: the configuration of a sidecar or an edge, for those who run Envoy themselves."""

import json
from typing import Annotated

import typer

from detour.cli import envoys
from detour.envoy import Edge, Sidecar
from detour.mesh import TrustedProxies

IsEdge = Annotated[bool, typer.Option("--edge", help="Print the bootstrap of an edge.")]


def bootstrap(
    *,
    service: envoys.Service = "",
    app_port: envoys.AppPort = 8080,
    instance: envoys.Instance = "",
    deployment: envoys.Deployment = "",
    outbound_port: envoys.OutboundPort = 15001,
    inbound_port: envoys.InboundPort = 15006,
    inbound_address: envoys.InboundAddress = "127.0.0.1",
    admin_port: envoys.AdminPort = 15000,
    admin_socket: envoys.AdminSocket = "",
    control_plane: envoys.ControlPlane = "127.0.0.1:15010",
    edge: IsEdge = False,
    listen: envoys.Listen = "127.0.0.1:8000",
    trust_overrides: envoys.TrustOverrides = False,
    trusted_proxies: envoys.TrustedProxies = "",
) -> None:
    """Print the Envoy bootstrap of a sidecar or an edge.

    It is JSON, for `envoy --config-path`. Give --service for a sidecar's, or --edge.
    """
    if bool(service) == edge:
        raise ValueError("give either --service NAME, for a sidecar's bootstrap, or --edge")
    one: Sidecar | Edge
    if edge:
        proxies = envoys.trusted_proxies(trusted_proxies) or TrustedProxies()
        name = instance or "edge"
        one = Edge(name, listen, admin_port, control_plane, trust_overrides, admin_socket, proxies)
    else:
        one = Sidecar(
            service=service,
            instance=instance or service,
            app_port=app_port,
            outbound_port=outbound_port,
            inbound_port=inbound_port,
            inbound_address=inbound_address,
            admin_port=admin_port,
            control_plane=control_plane,
            deployment=deployment,
            admin_socket=admin_socket,
        )
    typer.echo(json.dumps(envoys.bootstrap_of(one), indent=2))
