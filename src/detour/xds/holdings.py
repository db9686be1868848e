"""What one Envoy may have the server keep: names, in bytes, and clusters that stand for nothing in the mesh.

Invariant: pure counting, and bounded. Of clusters that a client made up the oldest are withdrawn from the Envoy;
their names are kept on record until there is no more room for them. Where there is no room at all a name is
answered, and forgotten.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from detour.xds.catalog import CLUSTER, Key
from detour.xds.names import NAME_MAX

_OVERHEAD: Final = 400
"""Bytes that a name costs beside its characters: its places in sets and dictionaries, and its versions."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one stream may cost.

    Args:
        unbacked: How many clusters the Envoy may hold that stand for nothing in the mesh: missing deployments,
            hosts outside.
        unbacked_bytes: How long their names may be together: those that are too long to mean anything count too.
        kept_bytes: What the names that are kept up to date may cost: some 40,000 of them.
        own_bytes: What of that is the stream's in any case: some 200 names. The rest is of what all streams share.
    """

    unbacked: int = 2000
    unbacked_bytes: int = 1_000_000
    kept_bytes: int = 20_000_000
    own_bytes: int = 100_000


@dataclass(slots=True)
class Shared:
    """What the names of all streams of a server may cost, beyond what each has of its own.

    Args:
        max_bytes: How much; some million names.
        used_bytes: How much of it is taken.
    """

    max_bytes: int = 500_000_000
    used_bytes: int = 0


class Holdings:
    """The names of one stream, by what they cost.

    Args:
        limits: What they may cost.
        is_backed: Whether a cluster's name stands for something in the mesh.
        shared: What all streams may cost together.
    """

    def __init__(self, limits: Limits, is_backed: Callable[[str], bool], shared: Shared) -> None:
        self._limits = limits
        self._shared = shared
        self._is_backed = is_backed
        self._unbacked: dict[str, None] = {}
        self._unbacked_bytes = 0
        self._withdrawn: dict[str, None] = {}
        self._kept_bytes = 0
        self.unkept = 0

    def fits(self, key: Key) -> bool:
        """Say whether there is room for one more name."""
        kept = self._kept_bytes + _cost(key)
        more = self._beyond_own(kept) - self._beyond_own(self._kept_bytes)
        is_shared = not more or self._shared.used_bytes + more <= self._shared.max_bytes
        return kept <= self._limits.kept_bytes and is_shared

    def keep(self, key: Key) -> None:
        """Take a name on."""
        self._count(_cost(key))

    def end(self) -> None:
        """Give back what is shared with other streams."""
        self._count(-self._kept_bytes)

    def let_go(self, key: Key, *, was_kept: bool) -> None:
        """Count a name no longer."""
        if was_kept:
            self._count(-_cost(key))
        if key.type_url == CLUSTER:
            self._drop(key.name)
            self._withdrawn.pop(key.name, None)

    def withdraw_for(self, name: str) -> list[str]:
        """Count a cluster that an Envoy asks for; return those that it loses because of it, the oldest first."""
        if self._is_backed(name):
            self._drop(name)
            return []
        if name not in self._unbacked:
            self._unbacked[name] = None
            self._unbacked_bytes += len(name)
        return list(self._oldest())

    def is_withdrawn(self, name: str) -> bool:
        """Say whether the Envoy was sent a cluster, and lost it."""
        return name in self._withdrawn

    def restore(self, name: str) -> None:
        """Count a withdrawn cluster as one that the Envoy has."""
        self._withdrawn.pop(name, None)

    def oldest_withdrawn(self) -> str | None:
        """Return the name that has been on record for longest, of those that the Envoy lost."""
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
    """Say whether a name may be kept: one that is too long can never mean anything."""
    return len(name) <= NAME_MAX


def _cost(key: Key) -> int:
    return len(key.name) + _OVERHEAD
