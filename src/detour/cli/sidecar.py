"""`detour sidecar`: runs the Envoy beside one instance."""

from functools import partial

from detour.cli import envoys
from detour.cli.checking import advice
from detour.cli.connection import Server
from detour.cli.option_groups import spread
from detour.client.server_address import DEFAULT_SERVER

_HERE = ("127.0.0.1", "localhost", "[::1]")


@spread
def sidecar(
    *,
    service: envoys.Service,
    app_port: envoys.AppPort,
    options: envoys.SidecarOptions,
    envoy: envoys.EnvoyOptions,
    drain_seconds: envoys.DrainSeconds = 30,
    server: Server = DEFAULT_SERVER,
) -> None:
    """Run the sidecar of one instance of a service.

    Start the application with http_proxy=http://127.0.0.1:15001 in its environment: its calls to other services,
    by names such as http://users/, then go through the sidecar.
    """
    if not service:
        raise ValueError("--service: expected the name of a service such as users")
    one = options.sidecar(service, app_port, envoy)
    envoys.run(
        one,
        f"Sidecar of {service}: start the application with http_proxy=http://127.0.0.1:{one.outbound_port};"
        f" other services call it at {one.inbound_address}:{one.inbound_port}",
        drain_seconds,
        partial(advice, server, service) if _is_of(server, one.control_plane) else None,
    )


def _is_of(server: str, control_plane: str) -> bool:
    """Return whether the server can know the mesh of a control plane: it was given, or both are on this machine."""
    return server != DEFAULT_SERVER or control_plane.rpartition(":")[0] in _HERE
