"""The trusted proxies in front of an edge, such as a TLS terminator or a load balancer."""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_network


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The proxies whose forwarding headers an edge trusts: `x-forwarded-*` and `x-request-id`.

    Args:
        networks: The proxies' networks (`10.0.0.0/8`); headers from other addresses are not trusted.
        hops: The number of proxies that every request passes, whatever their addresses; 0 if `networks` decide.
    """

    networks: tuple[str, ...] = ()
    hops: int = 0

    @staticmethod
    def parse(values: Iterable[str]) -> "TrustedProxies":
        """Parse one number of hops, or addresses and networks.

        Raises:
            ValueError: The values are neither.
        """
        items = list(values)
        if len(items) == 1 and re.fullmatch("[1-9]|10", items[0], re.ASCII):
            return TrustedProxies(hops=int(items[0]))
        with suppress(ValueError):
            if items and not any(item.isdecimal() for item in items):
                return TrustedProxies(tuple(str(ip_network(item, strict=False)) for item in items))
        raise ValueError("expected networks such as 10.0.0.0/8, or the number of proxies in front, 1 to 10")

    def __bool__(self) -> bool:
        """Return whether any proxy is trusted."""
        return bool(self.networks or self.hops)
