"""What a request says about its sender, and whether the sender runs on the server's own machine.

Invariant: a request is local only if it came directly: not through a proxy, and not from another site's page in a
local browser (DNS rebinding, cross-site requests).
"""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Requester:
    """The sender of a request, as described by the connection and the headers.

    Args:
        peer: The IP address of the connection; "" if unknown.
        host: The `Host` header.
        origin: The `Origin` header (RFC 6454). Browsers add it to requests from pages of other sites.
        is_forwarded: Whether it has a header that proxies add (`Forwarded`, `X-Forwarded-For`, `Via` and others).
        authorization: The `Authorization` header.
        user: The user name to use if the request is local.
    """

    peer: str
    host: str = ""
    origin: str = ""
    is_forwarded: bool = False
    authorization: str = ""
    user: str = ""

    @property
    def is_local(self) -> bool:
        """Whether the request comes from a program on the server's own machine."""
        return (
            _is_loopback(self.peer) and not self.is_forwarded and _names_loopback(self.host) and self.is_same_site
        )

    @property
    def is_same_site(self) -> bool:
        """Whether the request comes from a program, or from a page that this server serves."""
        return not self.origin or urlsplit(self.origin).netloc.lower() == self.host.lower()

    @property
    def bearer(self) -> str:
        """The bearer token of the request (RFC 6750, section 2.1); "" if it has none."""
        scheme, _, token = self.authorization.partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


def _names_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or name.endswith(".localhost") or _is_loopback(name)


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
