"""The names in certificates, and the identity of a peer that they give.

A sidecar has the SPIFFE id (SPIFFE-ID, section 2) `spiffe://<trust domain>/ns/<namespace>/sidecar`.

Invariant: pure; an id in any other form gives no namespace.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from detour.certificates.authority import Subject, client, server

TRUST_DOMAIN: Final = "cluster.local"
"""The default: the cluster's DNS domain."""

_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_SERVICES: Final = ("detour", "detour-webhook")
_URI: Final = "peer_uri"
"""gRPC's name for the URIs of a peer's certificate (`GRPC_PEER_URI_PROPERTY_NAME`)."""


def sidecar(namespace: str, trust_domain: str = TRUST_DOMAIN) -> Subject:
    """Return the subject of the sidecars of a namespace."""
    return client(_id(namespace, trust_domain))


def detour_server(namespace: str, domain: str = TRUST_DOMAIN) -> Subject:
    """Return the subject of the server in its namespace: all DNS names of the server and its webhook."""
    suffixes = ("", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.{domain}")
    return server([service + suffix for service in _SERVICES for suffix in suffixes])


def namespace_of(peer: Mapping[str, Iterable[bytes]], trust_domain: str = TRUST_DOMAIN) -> str | None:
    """Return the namespace that a peer authenticates for.

    Args:
        peer: `auth_context()` of a gRPC call; gRPC has verified the certificate by then.
        trust_domain: The trust domain of the sidecars.

    Returns:
        The namespace, or None for a peer without a sidecar's certificate.
    """
    uris = tuple(peer.get(_URI, ()))
    if len(uris) != 1:
        # X509-SVID, section 2: exactly one.
        return None
    parts = uris[0].decode("utf-8", "replace").split("/")
    namespace = parts[4] if len(parts) == len(_id("", "").split("/")) else ""
    is_ours = _NAMESPACE.fullmatch(namespace) and "/".join(parts) == _id(namespace, trust_domain)
    return namespace if is_ours else None


def _id(namespace: str, trust_domain: str) -> str:
    return f"spiffe://{trust_domain}/ns/{namespace}/sidecar"
