"""Following one kind of object: list, then watch (Kubernetes API concepts, "Efficient detection of changes").

An explicit state machine without I/O. It says what to ask for next; what the API answers goes in; what comes out
are changes, each once. What always holds:

- whatever breaks off, the watch goes on where it was, from the last resourceVersion that was heard of;
- only where the API has forgotten that version (410 Gone) everything is listed anew, and what has gone meanwhile is
  told as removed; until the whole list is there nothing changes;
- an event that was heard already, or that is older than what is known of its object, changes nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic

from detour.kubernetes.objects import ObjectT

GONE: Final = 410
"""The HTTP status of a version that the API has forgotten."""

_REMEMBERED_MAX: Final = 10_000
"""So many removed objects are remembered, against events about them that come late."""


@dataclass(frozen=True, slots=True)
class ListFrom:
    """Ask for a page of the list; the first one if `token` is empty."""

    token: str


@dataclass(frozen=True, slots=True)
class WatchFrom:
    """Ask for what has changed since a version."""

    version: str


@dataclass(frozen=True, slots=True)
class Applied(Generic[ObjectT]):
    """An object is new, or is as given from here on."""

    object: ObjectT


@dataclass(frozen=True, slots=True)
class Removed(Generic[ObjectT]):
    """An object is gone; as it was when last heard of."""

    object: ObjectT


_Key = tuple[str, str]


class Reflector(Generic[ObjectT]):
    """The state of one list and watch."""

    def __init__(self) -> None:
        self._token = ""
        self._listed: list[ObjectT] | None = []
        self._version = ""
        self._known: dict[_Key, ObjectT] = {}
        self._removed: dict[_Key, str] = {}
        self.is_synced = False
        """Whether a whole list has been there once."""

    def next(self) -> ListFrom | WatchFrom:
        """Say what to ask the API for."""
        return WatchFrom(self._version) if self._listed is None else ListFrom(self._token)

    def page(
        self, items: Iterable[ObjectT], version: str, token: str
    ) -> Iterator[Applied[ObjectT] | Removed[ObjectT]]:
        """Take a page of the list; `token` leads to the next one, and is empty on the last."""
        listed = [*(self._listed or ()), *items]
        self._token = token
        if token:
            self._listed = listed
            return
        self._listed, self._version, self.is_synced = None, version, True
        yield from self._replace(listed)

    def applied(self, one: ObjectT) -> Iterator[Applied[ObjectT]]:
        """Take an event that says how an object is (ADDED, MODIFIED)."""
        key, version = _key(one), one.metadata.resource_version
        known = self._known.get(key)
        heard = known.metadata.resource_version if known else self._removed.get(key, "")
        self.reached(version)
        if not _is_newer(version, heard):
            return
        self._removed.pop(key, None)
        self._known[key] = one
        yield Applied(one)

    def removed(self, one: ObjectT) -> Iterator[Removed[ObjectT]]:
        """Take an event that says that an object is gone (DELETED)."""
        key, version = _key(one), one.metadata.resource_version
        known = self._known.get(key)
        self.reached(version)
        if known is None or (
            known.metadata.resource_version != version and not _is_newer(version, known.metadata.resource_version)
        ):
            return
        del self._known[key]
        self._remember(key, version)
        yield Removed(known)

    def reached(self, version: str) -> None:
        """Note how far the watch has come (BOOKMARK)."""
        if _is_newer(version, self._version):
            self._version = version

    def refused(self, code: int) -> None:
        """Take the API's refusal, an HTTP status or the code of an ERROR event."""
        if code == GONE:
            self._listed, self._token = [], ""

    def _replace(self, listed: list[ObjectT]) -> Iterator[Applied[ObjectT] | Removed[ObjectT]]:
        before, self._known = self._known, {_key(one): one for one in listed}
        self._removed.clear()
        for key, one in self._known.items():
            known = before.get(key)
            if known is None or known.metadata.resource_version != one.metadata.resource_version:
                yield Applied(one)
        for key, one in before.items():
            if key not in self._known:
                yield Removed(one)

    def _remember(self, key: _Key, version: str) -> None:
        self._removed[key] = version
        if len(self._removed) > _REMEMBERED_MAX:
            del self._removed[next(iter(self._removed))]


def _key(one: ObjectT) -> _Key:
    return one.metadata.namespace, one.metadata.name


def _is_newer(version: str, heard: str) -> bool:
    """Compare resourceVersions of one kind: decimal numbers that only grow (KEP-5504).

    An API whose versions are something else is believed, in the order in which it speaks.
    """
    if version.isdecimal() and heard.isdecimal():
        return int(version) > int(heard)
    return version != heard
