"""Rules for the addresses of registered endpoints: an endpoint must not lead to anything but an instance.

Invariant: pure. Some addresses are refused in every notation, whatever networks are allowed: addresses that no
instance can have, and those where clouds serve credentials. So are the ports that Detour and its Envoys listen on.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from types import MappingProxyType
from typing import Final

from detour.mesh.model import Endpoint

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

PRIVATE: Final[tuple[Network, ...]] = tuple(
    map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
)
"""Private networks (RFC 1918, RFC 4193)."""

LOOPBACK: Final[tuple[Network, ...]] = tuple(map(ip_network, ("127.0.0.0/8", "::1/128")))

_LINK_LOCAL: Final = "is link-local; clouds serve credentials there"
_METADATA: Final = "is an address where a cloud serves metadata and credentials"

_NEVER: Final[Mapping[Network, str]] = {
    ip_network("0.0.0.0/8"): "does not identify a machine",
    ip_network("::/128"): "does not identify a machine",
    ip_network("169.254.0.0/16"): _LINK_LOCAL,
    ip_network("fe80::/10"): _LINK_LOCAL,
    ip_network("224.0.0.0/4"): "is multicast",
    ip_network("ff00::/8"): "is multicast",
    ip_network("240.0.0.0/4"): "is reserved, or broadcast",
    ip_network("100.100.100.200/32"): _METADATA,  # Alibaba Cloud
    ip_network("168.63.129.16/32"): _METADATA,  # Azure
    ip_network("192.0.0.192/32"): _METADATA,  # Oracle Cloud
    ip_network("fd00:ec2::/32"): _METADATA,  # Amazon Web Services
    ip_network("fd20:ce::254/128"): _METADATA,  # Google Cloud
    ip_network("fd00:42::42/128"): _METADATA,  # Scaleway
}
"""Networks where no instance can be, and why. Addresses outside all networks of a machine need no entry."""

OWN_PORTS: Final[Mapping[int, str]] = MappingProxyType(
    {
        15000: "the admin interface of an Envoy",
        15001: "the outbound listener of a sidecar",
        15003: "the readiness port of an Envoy",
        15010: "the port where Detour's server serves Envoys",
        15020: "Detour's API",
        15021: "Detour's webhook",
    }
)
"""The default ports of Detour and its Envoys; they are refused on every address."""

_NAT64: Final = tuple(map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48")))
_LOW_32_BITS: Final = tuple(map(ip_network, ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
_ISATAP: Final = (0x00005EFE, 0x02005EFE)


class ForbiddenEndpointError(ValueError):
    """An endpoint may not be registered; the message says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """The endpoints that a server accepts.

    Args:
        networks: The networks that endpoints may be in.
        ports: Further addresses that are in use by Detour, each with a description.
    """

    networks: tuple[Network, ...] = (*PRIVATE, *LOOPBACK)
    ports: Mapping[Endpoint, str] = field(default_factory=dict)

    def expect(self, endpoints: Iterable[Endpoint]) -> None:
        """Check endpoints before they are registered.

        Raises:
            ForbiddenEndpointError: One of them is not allowed.
        """
        for number, endpoint in enumerate(endpoints):
            if why := self.refusal(endpoint):
                raise ForbiddenEndpointError(f"endpoints[{number}]: {endpoint} is refused: {why}")

    def refusal(self, endpoint: Endpoint) -> str:
        """Return why an endpoint may not be registered; "" if it may."""
        if why := never(endpoint.address):
            return why
        plain = _plain(endpoint.address)
        if not any(plain in network for network in self.networks):
            allowed = ", ".join(map(str, self.networks)) or "none"
            return (
                f"it is outside the networks that endpoints may be in ({allowed}); an operator of the server can "
                "allow more: detour serve --endpoint-networks"
            )
        if endpoint.port in OWN_PORTS:
            return f"port {endpoint.port} is {OWN_PORTS[endpoint.port]}"
        return self._own(plain, endpoint.port)

    def _own(self, address: Address, port: int) -> str:
        """Return which part of Detour listens there; listeners on loopback or all addresses match local ones."""
        for own, what in self.ports.items():
            at = _plain(own.address)
            is_there = at == address or (at.is_unspecified and address.is_loopback)
            if own.port == port and (is_there or (at.is_loopback and address.is_loopback)):
                return f"that is {what}"
        return ""


def networks_of(text: str) -> tuple[Network, ...]:
    """Parse networks, such as `10.0.0.0/8,fd00::/8`.

    Raises:
        ValueError: One of them is not a network.
    """
    return tuple(_network(part.strip()) for part in text.split(",") if part.strip())


@lru_cache(10_000)
def never(address: str) -> str:
    """Return why no instance can have an address, whatever networks are allowed; "" if one can."""
    literal = ip_address(address)
    if getattr(literal, "scope_id", None):
        return f"{address} has a zone, which is valid on one machine only"
    for meant in (literal, *_embedded(literal)):
        for network, why in _NEVER.items():
            if meant in network:
                other = f"{address} leads to {meant}, and " if meant != literal else ""
                what = meant if network.num_addresses == 1 else network
                return f"{other}{what} {why}"
    return ""


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a network such as 10.0.0.0/8: {error}") from error


def _plain(address: str) -> Address:
    """Return an address; IPv4-mapped IPv6 addresses become IPv4 addresses (RFC 4291, 2.5.5.2)."""
    literal = ip_address(address)
    return (literal.ipv4_mapped or literal) if isinstance(literal, IPv6Address) else literal


def _embedded(address: Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that something on the path may translate an IPv6 address to."""
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    number = int(address)
    if any(address in network for network in _LOW_32_BITS) and number >> 1:
        yield IPv4Address(number & 0xFFFFFFFF)
    if address in _NAT64[1]:
        # RFC 6052, section 2.2: bits 64 to 71 are not part of the address.
        yield IPv4Address((number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF)
    if number >> 32 & 0xFFFFFFFF in _ISATAP:
        yield IPv4Address(number & 0xFFFFFFFF)
