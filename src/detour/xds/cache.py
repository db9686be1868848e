"""Resources that have been built, kept within a number of bytes: the least recently used goes first.

Invariant: names that clients make up cannot fill the memory, however many there are and however long.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from envoy.service.discovery.v3.discovery_pb2 import Resource

CACHED_BYTES: Final = 64_000_000
"""What one server keeps: some 60,000 clusters."""

_OVERHEAD: Final = 700
"""Bytes that an entry costs beside its name and its content: a message's arena, the entry, and its place."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource as it was built.

    Args:
        resource: None if there is none of that name.
        subject: What of the mesh it depends on.
        built: When, on the clock of the catalog that built it.
    """

    resource: Resource | None
    subject: str
    built: int


class Cache:
    """Entries by key, within a number of bytes.

    Args:
        max_bytes: How many; an entry that is larger by itself is not kept.
    """

    def __init__(self, max_bytes: int = CACHED_BYTES) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, tuple[Entry, int]] = OrderedDict()
        self.used_bytes = 0

    def get(self, key: Hashable) -> Entry | None:
        """Find an entry, which counts as used from here on."""
        found = self._entries.get(key)
        if found is None:
            return None
        self._entries.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, entry: Entry, name: str) -> None:
        """Keep an entry, and let go of those that have not been used for longest."""
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
