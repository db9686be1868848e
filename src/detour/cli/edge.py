"""`detour edge`: the Envoy where outside traffic enters the mesh."""

from typing import Annotated

import typer

from detour.cli import envoys
from detour.cli.option_groups import spread
from detour.mesh import TrustedProxies

Name = Annotated[str, typer.Option(help="The edge's name, unique in the mesh.", metavar="NAME")]


@spread
def edge(
    *,
    name: Name = "edge",
    options: envoys.EdgeOptions,
    envoy: envoys.EnvoyOptions,
    drain_seconds: envoys.DrainSeconds = 30,
) -> None:
    """Run an edge, where outside traffic enters the mesh.

    It serves the hosts that the mesh file lists under edge.hosts.
    """
    proxies = options.proxies or _proxies_of_mesh(envoy.control_plane, name)
    one = options.edge(name, envoy, proxies)
    outside = "honoured" if options.trust_overrides else "removed"
    envoys.run(one, f"Edge at http://{options.listen}; overrides from outside are {outside}", drain_seconds)


def _proxies_of_mesh(control_plane: str, name: str) -> TrustedProxies:
    from detour.cli.edge_settings import proxies_of_mesh  # noqa: PLC0415  gRPC is slow to import

    found = proxies_of_mesh(control_plane, name)
    if found is None:
        typer.echo(
            f"No control plane answers at {control_plane}: this edge trusts no proxy in front of it. If the mesh"
            " file has edge.trusted_proxies, restart the edge when the server runs, or use --trusted-proxies.",
            err=True,
        )
    return found or TrustedProxies()
