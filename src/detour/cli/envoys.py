"""What `sidecar`, `edge` and `bootstrap` share: their options, and a check that the ports are free."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from detour import mesh
from detour.cli import addresses, foreground
from detour.envoy import Edge, Sidecar, edge_bootstrap, sidecar_bootstrap
from detour.envoy.busy import cannot_listen
from detour.mesh import Endpoint, is_name

_SOCKET_PATH_MAX = 107


def _service_name(text: str) -> str:
    # Empty is the default of `detour bootstrap`, which can print an edge's bootstrap instead.
    if text and not (is_name(text) and text == text.lower()):
        raise typer.BadParameter(f"expected the name of a service such as users, got {text!r}")
    return text


def _deployment_name(text: str) -> str:
    if text and not is_name(text):
        raise typer.BadParameter(f"expected the name of a deployment such as pr-42, got {text!r}")
    return text


def _socket_path(text: str) -> str:
    path = Path(text)
    if len(text.encode(errors="surrogateescape")) > _SOCKET_PATH_MAX:
        raise typer.BadParameter(f"the path of a Unix socket has at most {_SOCKET_PATH_MAX} bytes, got {text!r}")
    if text and not path.parent.is_dir():
        raise typer.BadParameter(f"the folder {path.parent} does not exist")
    # Envoy would delete the file.
    if text and path.exists() and not path.is_socket():
        raise typer.BadParameter(f"{text} exists already and is not a socket")
    return text


Service = Annotated[
    str,
    typer.Option(
        help="The service of the application.",
        metavar="NAME",
        parser=_service_name,
        show_default=False,
    ),
]
AppPort = Annotated[
    int,
    typer.Option(help="The application's port on loopback.", metavar="PORT", parser=addresses.port),
]
Instance = Annotated[
    str,
    typer.Option(
        help="The instance's name, unique in the mesh.  [default: the service's]",
        metavar="NAME",
        show_default=False,
    ),
]
Deployment = Annotated[
    str,
    typer.Option(
        help="The offloaded deployment that the instance is part of.  [default: the baseline]",
        metavar="NAME",
        parser=_deployment_name,
        show_default=False,
    ),
]
OutboundPort = Annotated[
    int, typer.Option(help="The port for the application's requests.", metavar="PORT", parser=addresses.port)
]
InboundPort = Annotated[
    int, typer.Option(help="The port for requests to the application.", metavar="PORT", parser=addresses.port)
]
InboundAddress = Annotated[
    str, typer.Option(help="The address of the inbound port.", metavar="IP", parser=addresses.ip)
]
AdminPort = Annotated[
    int,
    typer.Option(
        help="The port of Envoy's read-only admin endpoints (/ready, /stats), on loopback.",
        metavar="PORT",
        parser=addresses.port,
    ),
]
AdminSocket = Annotated[
    str,
    typer.Option(
        help="The path of a Unix socket for Envoy's full admin interface, accessible to you only.",
        metavar="PATH",
        parser=_socket_path,
        show_default=False,
    ),
]
DrainSeconds = Annotated[
    float,
    typer.Option(
        help="How long to wait at the end for requests in flight; a second Ctrl-C or SIGTERM ends immediately.",
        metavar="SECONDS",
        parser=addresses.seconds,
    ),
]
ControlPlane = Annotated[
    str,
    typer.Option(
        envvar="DETOUR_CONTROL_PLANE",
        help="The server's xDS address.",
        metavar="HOST:PORT",
        parser=addresses.host_and_port,
    ),
]
Listen = Annotated[
    str, typer.Option(help="The address of the edge.", metavar="IP:PORT", parser=addresses.ip_and_port)
]
TrustOverrides = Annotated[
    bool, typer.Option("--trust-overrides", help="Honour overrides from outside instead of removing them.")
]
TrustedProxies = Annotated[
    str,
    typer.Option(
        help="The proxies in front of the edge whose X-Forwarded headers to trust: their networks, or their number."
        "  [default: edge.trusted_proxies of the mesh file; for bootstrap, none]",
        metavar="NETWORKS",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class EnvoyOptions:
    """The options that every Envoy has."""

    admin_port: AdminPort = 15000
    admin_socket: AdminSocket = ""
    control_plane: ControlPlane = "127.0.0.1:15010"


@dataclass(frozen=True, slots=True)
class SidecarOptions:
    """The options of a sidecar with defaults."""

    instance: Instance = ""
    deployment: Deployment = ""
    outbound_port: OutboundPort = 15001
    inbound_port: InboundPort = 15006
    inbound_address: InboundAddress = "127.0.0.1"

    def sidecar(self, service: str, app_port: int, envoy: EnvoyOptions) -> Sidecar:
        """Return the sidecar of an instance."""
        return Sidecar(
            service=service,
            instance=self.instance or service,
            app_port=app_port,
            outbound_port=self.outbound_port,
            inbound_port=self.inbound_port,
            inbound_address=self.inbound_address,
            admin_port=envoy.admin_port,
            control_plane=envoy.control_plane,
            deployment=self.deployment,
            admin_socket=envoy.admin_socket,
        )


@dataclass(frozen=True, slots=True)
class EdgeOptions:
    """The options of an edge."""

    listen: Listen = "127.0.0.1:8000"
    trust_overrides: TrustOverrides = False
    trusted_proxies: TrustedProxies = ""

    @property
    def proxies(self) -> mesh.TrustedProxies | None:
        """The trusted proxies; None if the option is not given.

        Raises:
            ValueError: It is neither networks nor a number.
        """
        if not self.trusted_proxies:
            return None
        try:
            return mesh.TrustedProxies.parse(item.strip() for item in self.trusted_proxies.split(","))
        except ValueError as error:
            raise ValueError(f"--trusted-proxies: {error}, got {self.trusted_proxies!r}") from None

    def edge(self, name: str, envoy: EnvoyOptions, proxies: mesh.TrustedProxies) -> Edge:
        """Return the edge, with the proxies that it trusts."""
        return Edge(
            name,
            self.listen,
            envoy.admin_port,
            envoy.control_plane,
            self.trust_overrides,
            envoy.admin_socket,
            proxies,
        )


def bootstrap_of(envoy: Sidecar | Edge) -> dict[str, Any]:
    """Return the bootstrap of either kind."""
    return sidecar_bootstrap(envoy) if isinstance(envoy, Sidecar) else edge_bootstrap(envoy)


def run(
    envoy: Sidecar | Edge, greeting: str, drain_seconds: float, advice: Callable[[], str] | None = None
) -> None:
    """Run one Envoy until it ends or this process receives a signal.

    Args:
        envoy: The Envoy to run.
        greeting: A message to print when it is ready.
        drain_seconds: How long to wait at the end for requests in flight.
        advice: Returns another message to print then, or an empty text; it may block for some time.

    Raises:
        EnvoyError: Envoy did not become ready, or ended by itself.
        OSError: A port is in use, or the files of Envoy can't be written.
    """
    _expect_free(bootstrap_of(envoy))
    asyncio.run(foreground.run(envoy, greeting, drain_seconds, advice))


def _expect_free(bootstrap: dict[str, Any]) -> None:
    """Check that all ports are free by binding them for a moment; Envoy reports a busy port in many lines.

    Raises:
        OSError: A port is not free.
    """
    with ExitStack() as bound:
        seen: set[Endpoint] = set()
        for option, address, port in _listening(bootstrap):
            where = Endpoint(address, port)
            if where in seen:
                # Sockets that only bind can share an address, so this needs a check of its own.
                raise OSError(f"cannot listen on {where} twice; choose another with {option}")
            seen.add(where)
            # No listen(): the kernel would accept connections that are then reset.
            probe = bound.enter_context(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET))
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                raise cannot_listen(where, error, option=option) from error


def _listening(bootstrap: dict[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Yield the option, the address and the port of each listener."""
    listeners = [one for one in bootstrap["static_resources"]["listeners"] if "address" in one]
    for one in listeners:
        at = one["address"]["socket_address"]
        yield "--listen" if one["name"] == "edge" else f"--{one['name']}-port", at["address"], at["port_value"]
