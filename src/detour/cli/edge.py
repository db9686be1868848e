"""`detour edge`: the Envoy where outside traffic enters the mesh."""

from typing import Annotated

import typer

from detour.cli import envoys
from detour.envoy import Edge

Name = Annotated[str, typer.Option(help="The edge's name, unique in the mesh.", metavar="NAME")]


def edge(
    *,
    listen: envoys.Listen = "127.0.0.1:8000",
    name: Name = "edge",
    admin_port: envoys.AdminPort = 15000,
    admin_socket: envoys.AdminSocket = "",
    control_plane: envoys.ControlPlane = "127.0.0.1:15010",
    trust_overrides: envoys.TrustOverrides = False,
    drain_seconds: envoys.DrainSeconds = 30,
) -> None:
    """Run an edge, where outside traffic enters the mesh.

    It serves the hosts that the mesh file lists under edge.hosts.
    """
    one = Edge(name, listen, admin_port, control_plane, trust_overrides, admin_socket)
    outside = "honoured" if trust_overrides else "removed"
    envoys.run(one, f"Edge at http://{listen}; overrides from outside are {outside}", drain_seconds)
