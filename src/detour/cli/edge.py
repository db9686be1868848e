"""`detour edge`: the Envoy where outside traffic enters the mesh."""

from detour.cli import envoys
from detour.envoy import Edge


def edge(
    listen: envoys.Listen = "127.0.0.1:8000",
    name: str = "edge",
    admin_port: envoys.AdminPort = 15000,
    control_plane: envoys.ControlPlane = "127.0.0.1:15010",
    trust_overrides: envoys.TrustOverrides = False,
) -> None:
    """Run an edge: it serves the hosts that the mesh file lists under edge.hosts."""
    one = Edge(name, listen, admin_port, control_plane, trust_overrides)
    outside = "honoured" if trust_overrides else "removed"
    envoys.run(one, f"Edge at [bold]http://{listen}[/]; overrides from outside are {outside}")
