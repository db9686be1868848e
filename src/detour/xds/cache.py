"""An LRU cache of built resources, limited in bytes.

Invariant: names that clients invent cannot fill the memory, whatever their number and length.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from envoy.service.discovery.v3.discovery_pb2 import Resource

CACHED_BYTES: Final = 64_000_000
"""Cache size of one server: some 60,000 clusters."""

_OVERHEAD: Final = 700
"""Bytes that an entry costs in addition to name and content: the message's arena, the entry, and its dictionary
slot."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A built resource.

    Args:
        resource: The resource; None if there is none of that name.
        subject: The subject in the mesh that it depends on.
        built: When it was built, on the clock of its catalog.
    """

    resource: Resource | None
    subject: str
    built: int


class Cache:
    """Entries by key, limited in bytes.

    Args:
        max_bytes: The limit. A single entry that exceeds it is not cached.
    """

    def __init__(self, max_bytes: int = CACHED_BYTES) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, tuple[Entry, int]] = OrderedDict()
        self.used_bytes = 0

    def get(self, key: Hashable) -> Entry | None:
        """Return an entry, and mark it as recently used."""
        found = self._entries.get(key)
        if found is None:
            return None
        self._entries.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, entry: Entry, name: str) -> None:
        """Add an entry, and evict the least recently used ones if necessary."""
        self._drop(key)
        cost = _OVERHEAD + 2 * len(name) + (entry.resource.ByteSize() if entry.resource else 0)
        if cost > self._max_bytes:
            return
        self._entries[key] = entry, cost
        self.used_bytes += cost
        while self.used_bytes > self._max_bytes:
            _, (_, cost) = self._entries.popitem(last=False)
            self.used_bytes -= cost

    def _drop(self, key: Hashable) -> None:
        found = self._entries.pop(key, None)
        if found is not None:
            self.used_bytes -= found[1]
