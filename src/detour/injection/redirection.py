"""The rules that redirect a pod's outbound TCP connections to its sidecar (iptables-restore, ip6tables-restore).

Invariant: applying them again changes nothing. They have a chain of their own, which is written as a whole. Only
the jump to it is in another chain; it is not added where it exists already.
"""

from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final, Literal

Version = Literal[4, 6]

JUMP: Final = ("OUTPUT", "-p", "tcp", "-j", "DETOUR")
"""The jump, as an argument of `iptables -t nat -C`."""


@dataclass(frozen=True, slots=True)
class Redirection:
    """The connections that are redirected, and their new destination.

    Args:
        to_port: The port of the sidecar's transparent listener.
        exempt_uid: The user that the sidecar runs as; its own connections are not redirected.
        exclude_ports: Destination ports that are not redirected.
        exclude_cidrs: Destination networks that are not redirected, such as `10.8.0.0/16`.

    Raises:
        ValueError: A port or a network is invalid.
    """

    to_port: int = 15001
    exempt_uid: int = 1337
    exclude_ports: tuple[int, ...] = ()
    exclude_cidrs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for port in (self.to_port, *self.exclude_ports):
            if not 0 < port < 2**16:
                raise ValueError(f"port {port} is not between 1 and 65535")
        for cidr in self.exclude_cidrs:
            ip_network(cidr, strict=False)

    def rules(self, version: Version, *, jump: bool = True) -> str:
        """Return the rules of one IP version, as input for `iptables-restore --noflush`.

        Args:
            version: 4 or 6.
            jump: Whether to add the jump to them.
        """
        of_chain = "-A DETOUR"
        lines = [
            "*nat",
            # This line creates the chain, or empties an existing one.
            ":DETOUR - [0:0]",
            # A pod's connections to itself, by loopback or its own address, are not calls in the mesh.
            f"{of_chain} -o lo -j RETURN",
            f"{of_chain} -m owner --uid-owner {self.exempt_uid} -j RETURN",
            *(f"{of_chain} -d {cidr} -j RETURN" for cidr in self._cidrs(version)),
            *(f"{of_chain} -p tcp --dport {port} -j RETURN" for port in self.exclude_ports),
            f"{of_chain} -p tcp -j REDIRECT --to-ports {self.to_port}",
            *([f"-A {' '.join(JUMP)}"] if jump else []),
            "COMMIT",
        ]
        return "".join(f"{line}\n" for line in lines)

    def arguments(self) -> list[str]:
        """Return the same as options of `detour redirect`."""
        options = [("--to-port", self.to_port), ("--exempt-uid", self.exempt_uid)]
        ports = [("--exclude-port", port) for port in self.exclude_ports]
        cidrs = [("--exclude-cidr", cidr) for cidr in self.exclude_cidrs]
        return [f"{name}={value}" for name, value in (*options, *ports, *cidrs)]

    def _cidrs(self, version: Version) -> list[str]:
        networks = [ip_network(cidr, strict=False) for cidr in self.exclude_cidrs]
        return [str(network) for network in networks if network.version == version]
