"""What one Envoy has rejected and not replaced since.

Invariant: bounded by the names that the Envoy subscribes to, because a forgotten name is forgotten here, too.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from detour.xds.catalog import Key

_MESSAGE_MAX: Final = 2000
"""Maximum number of characters kept of a rejection's reason."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Resources that an Envoy refused, and the reason that it gave."""

    type_url: str
    names: tuple[str, ...]
    message: str


class Rejections:
    """Rejections by resource."""

    def __init__(self) -> None:
        self._by_key: dict[Key, Rejection] = {}

    def add(self, type_url: str, names: Iterable[str], message: str) -> None:
        """Record that the Envoy refused these resources, which came in one response."""
        names = tuple(names)
        rejection = Rejection(type_url, names, message[:_MESSAGE_MAX])
        self._by_key.update((Key(type_url, name), rejection) for name in names)

    def discard(self, type_url: str, names: Iterable[str]) -> None:
        """Forget the rejections of these resources: the Envoy has accepted others, or has unsubscribed."""
        for name in names:
            self._by_key.pop(Key(type_url, name), None)

    def has(self, type_url: str) -> bool:
        """Return whether the Envoy refused a resource of a type."""
        return any(key.type_url == type_url for key in self._by_key)

    @property
    def all(self) -> tuple[Rejection, ...]:
        """All rejections, each once."""
        return tuple(dict.fromkeys(self._by_key.values()))
