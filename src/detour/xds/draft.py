"""A response under construction.

Invariant: a response is bounded in bytes, so that an Envoy with many names does not delay others.
"""

from dataclasses import dataclass, field
from typing import Final

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse as Response
from envoy.service.discovery.v3.discovery_pb2 import Resource

RESPONSE_BYTES: Final = 1_000_000
"""Maximum size of a response. Only a single resource may exceed it."""


@dataclass(slots=True)
class Draft:
    """A response, its size, and the versions in it that await an acknowledgement.

    Args:
        response: The response.
        versions: Names to versions; "" for a resource that does not exist. Names that are answered once only are
            not among them.
        size: The size of its content in bytes.
        is_full: Whether something did not fit.
    """

    response: Response
    versions: dict[str, str] = field(default_factory=dict)
    size: int = 0
    is_full: bool = False

    def has_room(self, size: int) -> bool:
        """Return whether `size` more bytes fit. The first resource always fits, whatever its size."""
        self.is_full = self.is_full or bool(self.size and self.size + size > RESPONSE_BYTES)
        return not self.is_full

    def put(self, resource: Resource, size: int) -> None:
        """Add a resource of that size."""
        self.response.resources.append(resource)
        self.size += size

    def remove(self, name: str) -> None:
        """Add a name that Envoy has to remove."""
        self.response.removed_resources.append(name)
        self.size += len(name)

    @property
    def is_empty(self) -> bool:
        """Whether the response has no content."""
        return not (self.response.resources or self.response.removed_resources)
