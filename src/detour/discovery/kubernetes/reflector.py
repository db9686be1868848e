"""Following one kind of object: list, then watch (Kubernetes API concepts, "Efficient detection of changes").

An explicit state machine without I/O: it returns the next request, takes the API's answers, and returns each change
once. It guarantees:

- after any failure the watch resumes at the last known resourceVersion;
- only if the API no longer has that version (410 Gone), everything is listed again. Objects that are missing from
  the new list are reported as removed; nothing changes before the whole list has arrived;
- an event that was seen before, or that is older than the known state of its object, changes nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic

from detour.kubernetes.objects import ObjectT

GONE: Final = 410
"""The HTTP status for a version that the API no longer has."""

_REMEMBERED_MAX: Final = 10_000
"""Maximum number of removed objects that are remembered, to recognize late events about them."""


@dataclass(frozen=True, slots=True)
class ListFrom:
    """Request a page of the list; the first one if `token` is empty."""

    token: str


@dataclass(frozen=True, slots=True)
class WatchFrom:
    """Request the changes since a version."""

    version: str


@dataclass(frozen=True, slots=True)
class Applied(Generic[ObjectT]):
    """An object is new or has changed; with its current state."""

    object: ObjectT


@dataclass(frozen=True, slots=True)
class Removed(Generic[ObjectT]):
    """An object was removed; with its last known state."""

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
        """Whether one whole list has been read."""

    def next(self) -> ListFrom | WatchFrom:
        """Return the next request to the API."""
        return WatchFrom(self._version) if self._listed is None else ListFrom(self._token)

    def page(
        self, items: Iterable[ObjectT], version: str, token: str
    ) -> Iterator[Applied[ObjectT] | Removed[ObjectT]]:
        """Process a page of the list; `token` leads to the next one, and is empty on the last."""
        listed = [*(self._listed or ()), *items]
        self._token = token
        if token:
            self._listed = listed
            return
        self._listed, self._version, self.is_synced = None, version, True
        yield from self._replace(listed)

    def applied(self, one: ObjectT) -> Iterator[Applied[ObjectT]]:
        """Process an event with the state of an object (ADDED, MODIFIED)."""
        key, version = _key(one), one.metadata.resource_version
        known = self._known.get(key)
        # A watch that resumes at an older version repeats events. For a removed object, its last version decides,
        # or a repeated ADDED would bring it back.
        last = known.metadata.resource_version if known else self._removed.get(key, "")
        self.reached(version)
        if not _is_newer(version, last):
            return
        self._removed.pop(key, None)
        self._known[key] = one
        yield Applied(one)

    def removed(self, one: ObjectT) -> Iterator[Removed[ObjectT]]:
        """Process the removal of an object (DELETED)."""
        key, version = _key(one), one.metadata.resource_version
        known = self._known.get(key)
        self.reached(version)
        # The version of a DELETED event is that of the removal, or that of the last state, depending on the
        # server.
        if known is None or (
            known.metadata.resource_version != version and not _is_newer(version, known.metadata.resource_version)
        ):
            return
        del self._known[key]
        self._remember(key, version)
        yield Removed(known)

    def reached(self, version: str) -> None:
        """Remember how far the watch has come (BOOKMARK)."""
        if _is_newer(version, self._version):
            self._version = version

    def refused(self, code: int) -> None:
        """Process a refusal of the API: an HTTP status or the code of an ERROR event."""
        # Only a new list helps: the API server has forgotten the version. What is known stays until that list is
        # complete.
        if code == GONE:
            self._listed, self._token = [], ""

    def _replace(self, listed: list[ObjectT]) -> Iterator[Applied[ObjectT] | Removed[ObjectT]]:
        before, self._known = self._known, {_key(one): one for one in listed}
        # The list is newer than every removal, so no event of the coming watch can be older.
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


def _is_newer(version: str, last: str) -> bool:
    """Compare resourceVersions of one kind: decimal numbers that only grow (KEP-5504).

    If the versions are not numbers, the order of the events decides.
    """
    if version.isdecimal() and last.isdecimal():
        return int(version) > int(last)
    return version != last
