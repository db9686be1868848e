"""`detour edge`: the Envoy where outside traffic enters the mesh."""

from typing import Annotated

import typer

from detour.cli import envoys
from detour.envoy import Edge
from detour.mesh import TrustedProxies

Name = Annotated[str, typer.Option(help="The edge's name, unique in the mesh.", metavar="NAME")]


def edge(
    *,
    listen: envoys.Listen = "127.0.0.1:8000",
    name: Name = "edge",
    admin_port: envoys.AdminPort = 15000,
    admin_socket: envoys.AdminSocket = "",
    control_plane: envoys.ControlPlane = "127.0.0.1:15010",
    trust_overrides: envoys.TrustOverrides = False,
    trusted_proxies: envoys.TrustedProxies = "",
    drain_seconds: envoys.DrainSeconds = 30,
) -> None:
    """Run an edge, where outside traffic enters the mesh.

    It serves the hosts that the mesh file lists under edge.hosts.
    """
    proxies = envoys.trusted_proxies(trusted_proxies) or _proxies_of_mesh(control_plane, name)
    one = Edge(name, listen, admin_port, control_plane, trust_overrides, admin_socket, proxies)
    outside = "honoured" if trust_overrides else "removed"
    envoys.run(one, f"Edge at http://{listen}; overrides from outside are {outside}", drain_seconds)


def _proxies_of_mesh(control_plane: str, name: str) -> TrustedProxies:
    from detour.cli.edge_settings import proxies_of_mesh  # noqa: PLC0415  gRPC is slow to import

    found = proxies_of_mesh(control_plane, name)
    if found is None:
        typer.echo(
            f"Nothing answers at {control_plane}: this edge believes no proxy in front of it. If the mesh file has"
            " edge.trusted_proxies, start it again once the server runs, or give --trusted-proxies.",
            err=True,
        )
    return found or TrustedProxies()
