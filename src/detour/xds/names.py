"""The names of clusters: what a sidecar asks for, taken apart.

    users:8080                  baseline instances of the service that the request's authority names
    users:8080@pr-42            instances of the offloaded deployment pr-42
    users:8080@pr-42,baseline   the same, or the baseline's where pr-42 has none
    connect@users:50051         the end of a CONNECT tunnel to that authority
    connect@users:443,overrides the same, where the CONNECT carries overrides of that service

A sidecar asks as its application does; where services live in namespaces, what a host name means depends on the
sidecar's own (see `detour.mesh.Naming`).

`@` and `,` cannot be told apart from a client's own host name by their looks alone, so a route refuses requests
whose authority holds an `@` (see `detour.xds.routes`).
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from detour.mesh import Naming, is_name
from detour.mesh.model import NAME_MAX as DEPLOYMENT_MAX

HOST_MAX = 254
"""The longest host name, with a dot at its end (RFC 1035, section 2.3.4)."""

NAME_MAX = len("connect@") + HOST_MAX + len(":65535") + len("@") + DEPLOYMENT_MAX + len(",baseline")
"""The longest name that can mean anything. A longer one is answered, and kept nowhere."""

_REMEMBERED_MAX: Final = 2000

_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_TUNNEL = "connect@"
_FALLBACK = ",baseline"
_OVERRIDES = ",overrides"
_NO_NAMESPACES = Naming()


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request is to go.

    Args:
        host: A service's name in the mesh, or a host outside it, in lower case.
        port: The authority's port, if it names one.
        deployment: The offloaded deployment that an override chose.
        falls_back: Whether the baseline serves where that deployment has no instance.
        is_tunnel: Whether this is the end of a CONNECT rather than the destination itself.
        has_overrides: Whether that CONNECT carries overrides of the host; they count if its tunnel is read.
    """

    host: str
    port: int | None = None
    deployment: str | None = None
    falls_back: bool = False
    is_tunnel: bool = False
    has_overrides: bool = False

    @property
    def label(self) -> str:
        """What people call it: `users` or `users@pr-42`, without port."""
        return f"{self.host}@{self.deployment}" if self.deployment else self.host


def parse(name: str, naming: Naming = _NO_NAMESPACES, caller: str = "") -> Target | None:
    """Take a cluster's name apart; None if it names nothing that a request could be sent to.

    Args:
        name: What a sidecar asks for.
        naming: Which service a host name means.
        caller: The sidecar's namespace.
    """
    return _parsed(name, naming, caller) if len(name) <= NAME_MAX else None


# A name is taken apart several times on its way, by those who each need a part of it.
@lru_cache(_REMEMBERED_MAX)
def _parsed(name: str, naming: Naming, caller: str) -> Target | None:
    is_tunnel = name.startswith(_TUNNEL)
    has_overrides = is_tunnel and name.endswith(_OVERRIDES)
    name = name.removesuffix(_OVERRIDES) if is_tunnel else name
    authority, at, deployment = name.removeprefix(_TUNNEL).partition("@")
    falls_back = deployment.endswith(_FALLBACK)
    deployment = deployment.removesuffix(_FALLBACK)
    match = _AUTHORITY.fullmatch(authority.lower())
    if match is None or len(match["host"]) > HOST_MAX or (at and (is_tunnel or not is_name(deployment))):
        return None
    port = int(match["port"]) if match["port"] else None
    host = naming.canonical(match["host"], caller)
    return Target(host, port, deployment or None, falls_back, is_tunnel, has_overrides)
