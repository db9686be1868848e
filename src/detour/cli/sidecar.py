"""`detour sidecar`: the Envoy beside one instance."""

from functools import partial

from detour.cli import envoys
from detour.cli.checking import advice
from detour.cli.connection import Server
from detour.client.server_address import DEFAULT_SERVER
from detour.envoy import Sidecar

_HERE = ("127.0.0.1", "localhost", "[::1]")


def sidecar(
    *,
    service: envoys.Service,
    app_port: envoys.AppPort,
    instance: envoys.Instance = "",
    deployment: envoys.Deployment = "",
    outbound_port: envoys.OutboundPort = 15001,
    inbound_port: envoys.InboundPort = 15006,
    inbound_address: envoys.InboundAddress = "127.0.0.1",
    admin_port: envoys.AdminPort = 15000,
    admin_socket: envoys.AdminSocket = "",
    control_plane: envoys.ControlPlane = "127.0.0.1:15010",
    drain_seconds: envoys.DrainSeconds = 30,
    server: Server = DEFAULT_SERVER,
) -> None:
    """Run the sidecar of one instance of a service.

    Start the application with http_proxy=http://127.0.0.1:15001 in its environment: whatever it calls, by plain
    names such as http://users/, then goes through the sidecar.
    """
    if not service:
        raise ValueError("--service needs the name of a service such as users")
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
    envoys.run(
        one,
        f"Sidecar of {service}: the application calls out through http_proxy=http://127.0.0.1:{outbound_port}"
        f" and is called at {inbound_address}:{inbound_port}",
        drain_seconds,
        partial(advice, server, service) if _is_of(server, control_plane) else None,
    )


def _is_of(server: str, control_plane: str) -> bool:
    """Say whether the server knows the mesh of a control plane: it was named, or both are on this machine."""
    return server != DEFAULT_SERVER or control_plane.rpartition(":")[0] in _HERE
