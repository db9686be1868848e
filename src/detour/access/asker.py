"""What a request says of who sends it, and whether that is somebody on the server's own machine.

Invariant: a request is local only if nothing hints at anything in between: neither a proxy, nor a page of another
site in the person's browser (DNS rebinding, cross-site requests).
"""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Asker:
    """Who sends a request, as far as the request tells.

    Args:
        peer: The IP address that it came from; "" if it is not known.
        host: Its `Host` header.
        origin: Its `Origin` header (RFC 6454), which browsers add to what another page than the server's may send.
        is_forwarded: Whether it has a header that proxies add (`Forwarded`, `X-Forwarded-For`, `Via` and the like).
        authorization: Its `Authorization` header.
        user: The name that a local person goes by.
    """

    peer: str
    host: str = ""
    origin: str = ""
    is_forwarded: bool = False
    authorization: str = ""
    user: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it comes from a program of the server's own machine."""
        return (
            _is_loopback(self.peer) and not self.is_forwarded and _names_loopback(self.host) and self.is_same_site
        )

    @property
    def is_same_site(self) -> bool:
        """Whether it comes from no browser, or from a page of the server's own."""
        return not self.origin or urlsplit(self.origin).netloc.lower() == self.host.lower()

    @property
    def bearer(self) -> str:
        """The token that it brings (RFC 6750, section 2.1); "" for none."""
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
