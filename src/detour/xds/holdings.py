"""Limits on what the server keeps for one Envoy: names, in bytes, and clusters that stand for nothing in the mesh.

Invariant: pure counting, and bounded. When an Envoy holds too many clusters that stand for nothing, the oldest are
withdrawn. The server remembers their names until it needs the room. Without any room, a name is
answered once and not remembered.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from detour.xds.catalog import CLUSTER, Key
from detour.xds.names import NAME_MAX

_OVERHEAD: Final = 400
"""Bytes that a name costs in addition to its characters: entries in sets and dictionaries, and its versions."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one stream.

    Args:
        unbacked: Maximum number of clusters that stand for nothing in the mesh, such as missing deployments and
            outside hosts.
        unbacked_bytes: Maximum total length of their names, including names that are too long to mean anything.
        kept_bytes: Maximum cost of the names that are kept up to date: some 40,000 names.
        own_bytes: The part of `kept_bytes` that is reserved for this stream: some 200 names. The rest comes out of
            what all streams share.
    """

    unbacked: int = 2000
    unbacked_bytes: int = 1_000_000
    kept_bytes: int = 20_000_000
    own_bytes: int = 100_000


@dataclass(slots=True)
class Shared:
    """The limit on the names of all streams of a server together, beyond what is reserved for each.

    Args:
        max_bytes: The limit: some million names.
        used_bytes: How much of it is in use.
    """

    max_bytes: int = 500_000_000
    used_bytes: int = 0


class Holdings:
    """Counts the names of one stream and what they cost.

    Args:
        limits: The limits of this stream.
        is_backed: Returns whether a cluster's name stands for something in the mesh.
        shared: The limit of all streams together.
    """

    def __init__(self, limits: Limits, is_backed: Callable[[str], bool], shared: Shared) -> None:
        self._limits = limits
        self._shared = shared
        self._is_backed = is_backed
        self._unbacked: dict[str, None] = {}
        self._unbacked_bytes = 0
        self._withdrawn: dict[str, None] = {}
        self._kept_bytes = 0
        self.not_kept = 0

    def fits(self, key: Key) -> bool:
        """Return whether there is room for one more name."""
        kept = self._kept_bytes + _cost(key)
        # The shared limit counts only what exceeds the reserved part: one stream cannot use up what others need
        # to start.
        more = self._beyond_own(kept) - self._beyond_own(self._kept_bytes)
        is_shared = not more or self._shared.used_bytes + more <= self._shared.max_bytes
        return kept <= self._limits.kept_bytes and is_shared

    def keep(self, key: Key) -> None:
        """Count a name."""
        self._count(_cost(key))

    def end(self) -> None:
        """Release this stream's part of the shared limit."""
        self._count(-self._kept_bytes)

    def forget(self, key: Key, *, was_kept: bool) -> None:
        """Stop counting a name."""
        if was_kept:
            self._count(-_cost(key))
        if key.type_url == CLUSTER:
            self._drop(key.name)
            self._withdrawn.pop(key.name, None)

    def withdraw_for(self, name: str) -> list[str]:
        """Count a cluster that an Envoy requests; return the clusters to withdraw in exchange, oldest first."""
        if self._is_backed(name):
            self._drop(name)
            return []
        if name not in self._unbacked:
            self._unbacked[name] = None
            self._unbacked_bytes += len(name)
        return list(self._oldest())

    def is_withdrawn(self, name: str) -> bool:
        """Return whether the Envoy received a cluster and had it withdrawn."""
        return name in self._withdrawn

    def restore(self, name: str) -> None:
        """Mark a withdrawn cluster as held by the Envoy again."""
        self._withdrawn.pop(name, None)

    def oldest_withdrawn(self) -> str | None:
        """Return the name of the cluster that was withdrawn first, if any."""
        return next(iter(self._withdrawn), None)

    def _count(self, more: int) -> None:
        before = self._beyond_own(self._kept_bytes)
        self._kept_bytes += more
        self._shared.used_bytes += self._beyond_own(self._kept_bytes) - before

    def _beyond_own(self, kept_bytes: int) -> int:
        return max(0, kept_bytes - self._limits.own_bytes)

    def _oldest(self) -> Iterator[str]:
        while len(self._unbacked) > self._limits.unbacked or self._unbacked_bytes > self._limits.unbacked_bytes:
            name = next(iter(self._unbacked))
            self._drop(name)
            # The mesh has got it since, so it no longer counts.
            if self._is_backed(name):
                continue
            if is_keepable(name):
                self._withdrawn[name] = None
            yield name

    def _drop(self, name: str) -> None:
        if name in self._unbacked:
            del self._unbacked[name]
            self._unbacked_bytes -= len(name)


def is_keepable(name: str) -> bool:
    """Return whether a name may be kept. A name over the limit can never mean anything."""
    return len(name) <= NAME_MAX


def _cost(key: Key) -> int:
    return len(key.name) + _OVERHEAD
