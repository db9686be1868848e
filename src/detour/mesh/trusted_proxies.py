"""The proxies in front of an edge that it believes: a TLS terminator, a load balancer."""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_network


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """Whom an edge believes what a request says of its way: `x-forwarded-*` and `x-request-id`.

    Args:
        networks: The proxies' addresses, as networks (`10.0.0.0/8`); no other sender is believed.
        hops: How many proxies every request comes through, whatever their addresses; 0 where `networks` say.
    """

    networks: tuple[str, ...] = ()
    hops: int = 0

    @staticmethod
    def parse(values: Iterable[str]) -> "TrustedProxies":
        """Read one number of hops, or addresses and networks.

        Raises:
            ValueError: It is neither.
        """
        items = list(values)
        if len(items) == 1 and re.fullmatch("[1-9]|10", items[0], re.ASCII):
            return TrustedProxies(hops=int(items[0]))
        with suppress(ValueError):
            if items and not any(item.isdecimal() for item in items):
                return TrustedProxies(tuple(str(ip_network(item, strict=False)) for item in items))
        raise ValueError("expected networks such as 10.0.0.0/8, or the number of proxies in front, 1 to 10")

    def __bool__(self) -> bool:
        """Say whether anybody is believed."""
        return bool(self.networks or self.hops)
