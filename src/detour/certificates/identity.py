"""Who a peer is: the names in certificates.

A sidecar is known by the SPIFFE id (SPIFFE-ID, section 2) `spiffe://<trust domain>/ns/<namespace>/sidecar`.

Invariant: pure; what is not exactly such an id gives no namespace.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from detour.certificates.authority import Subject, client, server

TRUST_DOMAIN: Final = "cluster.local"
"""Where nobody says otherwise: the cluster's DNS domain."""

_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_SERVICES: Final = ("detour", "detour-webhook")
_URI: Final = "peer_uri"
"""gRPC's name for the URIs of a peer's certificate (`GRPC_PEER_URI_PROPERTY_NAME`)."""


def sidecar(namespace: str, trust_domain: str = TRUST_DOMAIN) -> Subject:
    """Describe the sidecars of a namespace."""
    return client(_id(namespace, trust_domain))


def detour_server(namespace: str, domain: str = TRUST_DOMAIN) -> Subject:
    """Describe the server in its namespace, by every name under which it and its webhook are reached."""
    suffixes = ("", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.{domain}")
    return server([service + suffix for service in _SERVICES for suffix in suffixes])


def namespace_of(peer: Mapping[str, Iterable[bytes]], trust_domain: str = TRUST_DOMAIN) -> str | None:
    """Return the namespace that a peer speaks for.

    Args:
        peer: What `auth_context()` of a gRPC call says; the certificate has been verified by then.
        trust_domain: The domain whose sidecars are meant.

    Returns:
        The namespace, or None for a peer without certificate or with that of something else.
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
