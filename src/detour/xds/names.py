"""Cluster names, as sidecars request them, and what they mean.

    users:8080                  baseline instances of the service that the request's authority names
    users:8080@pr-42            instances of the offloaded deployment pr-42
    users:8080@pr-42,baseline   the same; the baseline's instances if pr-42 has none
    connect@users:50051         the end of a CONNECT tunnel to that authority
    connect@users:443,overrides the same, if the CONNECT carries overrides of that service

A name contains the authority as the application wrote it. If services live in namespaces, the meaning of a host
name depends on the sidecar's namespace (see `detour.mesh.Naming`).

A client could write `@` and `,` into its own host name. Routes therefore refuse requests whose authority contains
an `@` (see `detour.xds.routes`).
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from detour.mesh import Naming, is_name
from detour.mesh.model import NAME_MAX as DEPLOYMENT_MAX

HOST_MAX = 254
"""The longest host name, with a trailing dot (RFC 1035, section 2.3.4)."""

NAME_MAX = len("connect@") + HOST_MAX + len(":65535") + len("@") + DEPLOYMENT_MAX + len(",baseline")
"""The longest name that can mean anything. Longer names are answered but not remembered."""

_REMEMBERED_MAX: Final = 2000

_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
TUNNEL: Final = "connect@"
"""The prefix of the end of a tunnel."""

_FALLBACK = ",baseline"
_OVERRIDES = ",overrides"
_NO_NAMESPACES = Naming()


@dataclass(frozen=True, slots=True)
class Target:
    """The destination that a cluster name stands for.

    Args:
        host: The name of a service in the mesh, or a host outside it, in lower case.
        port: The authority's port, if it has one.
        deployment: The offloaded deployment that an override chose.
        falls_back: Whether the baseline serves the request if that deployment has no instance.
        is_tunnel: Whether this is the end of a CONNECT tunnel instead of the destination itself.
        has_overrides: Whether that CONNECT carries overrides of the host. They take effect only if Envoy reads the
            tunnel's content.
    """

    host: str
    port: int | None = None
    deployment: str | None = None
    falls_back: bool = False
    is_tunnel: bool = False
    has_overrides: bool = False

    @property
    def label(self) -> str:
        """The name shown to people: `users` or `users@pr-42`, without the port."""
        return f"{self.host}@{self.deployment}" if self.deployment else self.host


def parse(name: str, naming: Naming = _NO_NAMESPACES, caller: str = "") -> Target | None:
    """Parse a cluster's name; None if a request cannot be sent to anything of that name.

    Args:
        name: The name that a sidecar requests.
        naming: Maps host names to services.
        caller: The sidecar's namespace.
    """
    return _parsed(name, naming, caller) if len(name) <= NAME_MAX else None


# Several steps of one request parse the same name, each for a part of it.
@lru_cache(_REMEMBERED_MAX)
def _parsed(name: str, naming: Naming, caller: str) -> Target | None:
    is_tunnel = name.startswith(TUNNEL)
    has_overrides = is_tunnel and name.endswith(_OVERRIDES)
    name = name.removesuffix(_OVERRIDES) if is_tunnel else name
    authority, at, deployment = name.removeprefix(TUNNEL).partition("@")
    falls_back = deployment.endswith(_FALLBACK)
    deployment = deployment.removesuffix(_FALLBACK)
    match = _AUTHORITY.fullmatch(authority.lower())
    if match is None or len(match["host"]) > HOST_MAX or (at and (is_tunnel or not is_name(deployment))):
        return None
    port = int(match["port"]) if match["port"] else None
    host = naming.canonical(match["host"], caller)
    return Target(host, port, deployment or None, falls_back, is_tunnel, has_overrides)
