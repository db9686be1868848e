"""Where instances may be: what keeps a registered endpoint from leading to anything but an instance.

Invariant: pure. An address that no instance can have, or that a cloud serves credentials at, is refused in whatever
notation, and whatever networks are allowed; so are ports that Detour and its Envoys listen on themselves.
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
"""What private networks use (RFC 1918, RFC 4193)."""

LOOPBACK: Final[tuple[Network, ...]] = tuple(map(ip_network, ("127.0.0.0/8", "::1/128")))

_LINK_LOCAL: Final = "is link-local, which is where clouds serve credentials"
_METADATA: Final = "is where a cloud serves metadata and credentials"

_NEVER: Final[Mapping[Network, str]] = {
    ip_network("0.0.0.0/8"): "stands for no particular machine",
    ip_network("::/128"): "stands for no particular machine",
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
"""Where no instance is, and why. What is in no network of a machine's own needs no entry."""

OWN_PORTS: Final[Mapping[int, str]] = MappingProxyType(
    {
        15000: "the admin interface of an Envoy",
        15001: "where an Envoy takes an application's requests",
        15003: "where an Envoy says that it is ready",
        15010: "where Detour's server serves Envoys",
        15020: "Detour's API",
        15021: "Detour's webhook",
    }
)
"""The ports that Detour and its Envoys listen on unless they are told otherwise; any address may have them."""

_NAT64: Final = tuple(map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48")))
_LOW_32_BITS: Final = tuple(map(ip_network, ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
_ISATAP: Final = (0x00005EFE, 0x02005EFE)


class ForbiddenEndpointError(ValueError):
    """An endpoint is not to be registered; the message says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """What a server allows.

    Args:
        networks: Where registered endpoints may be.
        ports: What listens where, beside what `OWN_PORTS` says: an address and a port, and what it is.
    """

    networks: tuple[Network, ...] = (*PRIVATE, *LOOPBACK)
    ports: Mapping[Endpoint, str] = field(default_factory=dict)

    def expect(self, endpoints: Iterable[Endpoint]) -> None:
        """Check endpoints that somebody registers.

        Raises:
            ForbiddenEndpointError: One of them may not be.
        """
        for number, endpoint in enumerate(endpoints):
            if why := self.refusal(endpoint):
                raise ForbiddenEndpointError(f"endpoints[{number}]: {endpoint} is refused: {why}")

    def refusal(self, endpoint: Endpoint) -> str:
        """Say why an endpoint may not be registered; nothing if it may."""
        if why := never(endpoint.address):
            return why
        plain = _plain(endpoint.address)
        if not any(plain in network for network in self.networks):
            allowed = ", ".join(map(str, self.networks)) or "none"
            return (
                f"it is in none of the networks that endpoints may be in ({allowed}); whoever runs the server can "
                "allow more: detour serve --endpoint-networks"
            )
        if endpoint.port in OWN_PORTS:
            return f"port {endpoint.port} is {OWN_PORTS[endpoint.port]}"
        return self._own(plain, endpoint.port)

    def _own(self, address: Address, port: int) -> str:
        """Say what of Detour's own listens there; all that listens on loopback, or everywhere, is nearby."""
        for own, what in self.ports.items():
            at = _plain(own.address)
            is_there = at == address or (at.is_unspecified and address.is_loopback)
            if own.port == port and (is_there or (at.is_loopback and address.is_loopback)):
                return f"that is {what}"
        return ""


def networks_of(text: str) -> tuple[Network, ...]:
    """Read networks, such as `10.0.0.0/8,fd00::/8`.

    Raises:
        ValueError: One of them is none.
    """
    return tuple(_network(part.strip()) for part in text.split(",") if part.strip())


@lru_cache(10_000)
def never(address: str) -> str:
    """Say why no instance can be at an address, whatever networks are allowed; nothing if one can."""
    literal = ip_address(address)
    if getattr(literal, "scope_id", None):
        return f"{address} has a zone, which means something on one machine only"
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
        raise ValueError(f"{text!r} is no network such as 10.0.0.0/8: {error}") from error


def _plain(address: str) -> Address:
    """Return an address without the notation that makes an IPv6 address of an IPv4 one (RFC 4291, 2.5.5.2)."""
    literal = ip_address(address)
    return (literal.ipv4_mapped or literal) if isinstance(literal, IPv6Address) else literal


def _embedded(address: Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses to which something on the way may turn an IPv6 address."""
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
        # RFC 6052, section 2.2: the bits 64 to 71 are none of the address.
        yield IPv4Address((number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF)
    if number >> 32 & 0xFFFFFFFF in _ISATAP:
        yield IPv4Address(number & 0xFFFFFFFF)
