"""What an Envoy's first request says about the Envoy (xDS protocol, `node`).

Invariant: pure. Unless the Envoy has a certificate, these are claims. Texts are bounded, because the server keeps
them.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest as Request

from detour.mesh import Endpoint

TEXT_MAX: Final = 512
"""Maximum length of a node's id, cluster, role, namespace and version, and of a type URL."""

PORTS_MAX: Final = 16
"""Maximum number of a node's ports that are read."""

_EDGE: Final = "edge"


@dataclass(frozen=True, slots=True)
class Node:
    """An Envoy, as its bootstrap describes it.

    Args:
        name: Its node id.
        service: The service that it belongs to, or `edge`.
        role: `sidecar` or `edge`.
        namespace: The namespace that it claims.
        ports: The ports of its own listeners, such as those for outbound traffic.
        version: The version of Detour that wrote its bootstrap; "" before 0.1.0.
    """

    name: str
    service: str
    role: str
    namespace: str
    ports: tuple[float, ...]
    version: str

    @staticmethod
    def of(request: Request) -> "Node":
        """Read a stream's first request; Envoy sends its node in no other."""
        metadata = request.node.metadata
        ports = metadata.fields["ports"].list_value.values if "ports" in metadata else ()
        return Node(
            request.node.id,
            request.node.cluster,
            _text(request, "role"),
            _text(request, "namespace"),
            tuple(one.number_value for one in ports[:PORTS_MAX]),
            _text(request, "version"),
        )

    @property
    def is_edge(self) -> bool:
        """Whether it is an edge."""
        return self.role == _EDGE

    def listening(self, peer: str) -> tuple[Endpoint, ...]:
        """Return the addresses of its own listeners: its ports, on the address of its stream.

        Args:
            peer: Its address as gRPC writes it: `ipv4:127.0.0.1:40000`, `ipv6:%5B::1%5D:40000`.
        """
        address = unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")
        # A client may send any number, such as infinity, which has no integer.
        with suppress(ValueError, OverflowError):
            return tuple(Endpoint(address, int(port)) for port in self.ports)
        return ()


def why_unusable(request: Request) -> str:
    """Return why a request cannot be served; "" if it can."""
    if not request.type_url:
        return "a request on an aggregated stream must set type_url; this one does not"
    texts = {
        "type_url": request.type_url,
        "node.id": request.node.id,
        "node.cluster": request.node.cluster,
        "role": _text(request, "role"),
        "namespace": _text(request, "namespace"),
        "version": _text(request, "version"),
    }
    long = next((name for name, text in texts.items() if len(text) > TEXT_MAX), None)
    return f"{long} has more than {TEXT_MAX} characters" if long else ""


def _text(request: Request, key: str) -> str:
    metadata = request.node.metadata
    return metadata.fields[key].string_value if key in metadata else ""
