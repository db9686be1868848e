"""The addresses of a server: reserving them before anything is served, and which ones are in use.

Invariant: all addresses are bound before anything is served, so a busy port is an error at startup.
"""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from detour.envoy.busy import cannot_listen
from detour.mesh import LOOPBACK, PRIVATE, Endpoint
from detour.mesh.endpoint_rules import Network

_ADDRESS: Final = re.compile(r"(?P<host>[^:/]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses on which the server listens, each as `ip:port`; port 0 chooses a free port.

    Args:
        xds: For Envoys (gRPC).
        api: For people and programs (HTTP).
        webhook: For the cluster's API server (HTTPS); empty for none.
    """

    xds: str = "127.0.0.1:15010"
    api: str = "127.0.0.1:15020"
    webhook: str = ""

    @property
    def networks(self) -> tuple[Network, ...]:
        """The default networks of endpoints. Loopback differs per machine, so it needs local Envoys only."""
        host, _ = _host_and_port(self.xds, "xDS")
        with suppress(ValueError):
            if host == "localhost" or ip_address(host).is_loopback:
                return (*PRIVATE, *LOOPBACK)
        return PRIVATE

    def purposes(self) -> Iterator[tuple[Endpoint, str]]:
        """Yield these addresses, and what listens there, for error messages."""
        for address, what in (
            (self.xds, "Detour's xDS server"),
            (self.api, "Detour's API"),
            (self.webhook, "Detour's webhook"),
        ):
            # The address of a host name is unknown here; the default ports are refused anyway.
            with suppress(ValueError):
                yield Endpoint.parse(address), what


@dataclass(frozen=True, slots=True)
class Sockets:
    """The bound sockets of a server; gRPC binds its own for xDS.

    Args:
        addresses: The addresses that were requested.
        api: The socket of the API.
        webhook: The socket of the webhook; None without one.
    """

    addresses: Addresses
    api: socket.socket
    webhook: socket.socket | None

    def in_use(self, xds_port: int) -> Addresses:
        """Return the addresses in use, with the ports that were chosen.

        Args:
            xds_port: The port on which gRPC listens.
        """
        return Addresses(
            _with_port(self.addresses.xds, xds_port),
            _with_port(self.addresses.api, _port(self.api)),
            _with_port(self.addresses.webhook, _port(self.webhook)) if self.webhook else "",
        )


@contextmanager
def bound(addresses: Addresses) -> Iterator[Sockets]:
    """Bind the addresses of a server.

    Raises:
        OSError: An address is invalid or not available.
    """
    with ExitStack() as held:
        api = held.enter_context(bind(addresses.api, "the API"))
        webhook = held.enter_context(bind(addresses.webhook, "the webhook")) if addresses.webhook else None
        # gRPC would report a busy port in its own log lines, without the reason.
        bind(addresses.xds, "xDS").close()
        yield Sockets(addresses, api, webhook)


def bind(address: str, purpose: str) -> socket.socket:
    """Return a listening socket.

    Raises:
        OSError: The address is invalid or not available; the message names the purpose.
    """
    host, port = _host_and_port(address, purpose)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=1024)
        # Connections inherit it: the second part of a response must not wait for the first one's acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise cannot_listen(address, error, purpose=purpose) from error
    else:
        return listening


def _host_and_port(address: str, purpose: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match["port"]) >= 2**16:
        raise OSError(f"cannot listen on {address!r} for {purpose}: expected ip:port such as 127.0.0.1:15020")
    return match["host"].strip("[]"), int(match["port"])


def _port(listening: socket.socket) -> int:
    port: int = listening.getsockname()[1]
    return port


def _with_port(address: str, port: int) -> str:
    return f"{address.rpartition(':')[0]}:{port}"
