"""The kill switch: whether overrides count at all, for the whole mesh, and where that is kept.

Invariant: what has been answered is kept: it holds after a restart, and for every replica within a second.
"""

import asyncio
import json
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lightkube import AsyncClient
from lightkube.resources.coordination_v1 import Lease
from lightkube.types import PatchType

from detour.access import Identity, Role
from detour.database import Change, ChangeLog, StorageError
from detour.kubernetes.failures import API_FAILURES
from detour.leadership import LeaseName
from detour.server.events import Event, Events
from detour.server.followed_database import FollowedDatabase
from detour.server.mesh_in_force import MeshInForce

KIND: Final = "overrides"
"""Of entries in the log of changes, and of events."""

OFF: Final = "switched off"
ON: Final = "switched on"

_ANNOTATION: Final = "detour.dev/overrides"
_POLL_SECONDS: Final = 0.5
"""How late other replicas may see a change that is kept in the cluster."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Switched:
    """How the switch stands.

    Args:
        is_off: Whether overrides are ignored.
        reason: Why, in the words of who switched.
        by: The user who switched it; empty if it was never switched.
        at: When.
    """

    is_off: bool = False
    reason: str = ""
    by: str = ""
    at: datetime | None = None

    @property
    def sentence(self) -> str:
        """Why overrides are ignored, in printable ASCII for a header; empty if they count."""
        if not self.is_off:
            return ""
        when = f" since {self.at:%Y-%m-%d %H:%M} UTC" if self.at else ""
        text = f"overrides are switched off by {self.by}{when}" + (f": {self.reason}" if self.reason else "")
        return "".join(one if " " <= one <= "~" else "?" for one in text)

    def written(self) -> str:
        """Return it as text that `parsed` reads."""
        at = self.at.isoformat() if self.at else None
        return json.dumps({"off": self.is_off, "reason": self.reason, "by": self.by, "at": at})

    @staticmethod
    def parsed(text: str) -> "Switched":
        """Read what `written` wrote.

        Raises:
            ValueError: It is no such text.
        """
        try:
            found = json.loads(text)
            at = datetime.fromisoformat(found["at"]) if found["at"] else None
            return Switched(bool(found["off"]), str(found["reason"]), str(found["by"]), at)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{text!r} does not say whether overrides count") from error


class OverrideSwitch(ABC):
    """The switch, and where it is kept.

    Args:
        state: How it stands.
    """

    def __init__(self, state: Switched | None = None) -> None:
        self.state = state or Switched()
        self.is_known = asyncio.Event()
        """Set once `state` is what is kept."""
        self.is_known.set()
        self.problem = ""
        """Why others' changes are not seen at the moment."""

    async def switch(self, *, is_off: bool, reason: str, by: str) -> None:
        """Switch overrides off, or on.

        Raises:
            StorageError: It could not be kept, and does not count.
        """
        wanted = Switched(is_off, reason, by, datetime.now(UTC))
        await self._keep(wanted)
        self.state = wanted
        _log.warning("%s has %s overrides%s", by, OFF if is_off else ON, f": {reason}" if reason else "")

    @abstractmethod
    async def _keep(self, wanted: Switched) -> None:
        """Keep it.

        Raises:
            StorageError: It could not be kept.
        """

    async def follow(self, changed: Callable[[], None]) -> None:
        """Keep up with what others switch, until cancelled; there are no others by default."""
        del changed


class UnkeptSwitch(OverrideSwitch):
    """A switch of a server that keeps nothing."""

    async def _keep(self, wanted: Switched) -> None:
        del wanted


class SwitchFile(OverrideSwitch):
    """A switch that is kept in a file.

    Blocks when it is made.

    Args:
        path: Of the file.

    Raises:
        StorageError: When it is made: the file is there, and can't be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            super().__init__(Switched.parsed(path.read_text(encoding="utf-8")) if path.exists() else None)
        except (ValueError, OSError) as error:
            raise StorageError(f"{path}: {error}; mend it, or remove it to have overrides count") from error

    async def _keep(self, wanted: Switched) -> None:
        try:
            await asyncio.to_thread(self._write, wanted.written())
        except OSError as error:
            raise StorageError(
                f"{self._path} cannot be written, and overrides stay as they were: {error.strerror}"
            ) from error

    def _write(self, text: str) -> None:
        """Write so that a process that is killed meanwhile leaves the old content or the new."""
        beside = self._path.with_name(f"{self._path.name}.new")
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)


class LoggedSwitch(OverrideSwitch):
    """A switch whose state is the last entry about it in the log of changes; nothing else is kept.

    Blocks when it is made.

    Raises:
        StorageError: When it is made: the database does not answer, or refuses.
    """

    def __init__(self, database: FollowedDatabase) -> None:
        self._log = ChangeLog(database.database)
        self._database = database
        super().__init__(_of_change(self._log.last(KIND)))
        database.keep(KIND, self._reload)

    async def _keep(self, wanted: Switched) -> None:
        await self._database.note(wanted.by, OFF if wanted.is_off else ON, KIND, wanted.reason or "the whole mesh")

    def _reload(self, _: Collection[str]) -> None:
        self.state = _of_change(self._log.last(KIND))


class ClusterSwitch(OverrideSwitch):
    """A switch that is kept in an annotation of the Lease that all replicas of a server share.

    Args:
        client: For the API server.
        name: The Lease.
    """

    def __init__(self, client: AsyncClient, name: LeaseName) -> None:
        super().__init__()
        self.is_known.clear()
        self._client = client
        self._name = name

    async def _keep(self, wanted: Switched) -> None:
        patch = {"metadata": {"annotations": {_ANNOTATION: wanted.written()}}}
        name, namespace = self._name.name, self._name.namespace
        try:
            await self._client.patch(Lease, name, patch, namespace=namespace, patch_type=PatchType.MERGE)
        except API_FAILURES as error:
            raise StorageError(
                f"{self._name} can't be written, and overrides stay as they were: {error}"
            ) from error

    async def follow(self, changed: Callable[[], None]) -> None:
        """Keep up with what other replicas switch, until cancelled."""
        while True:
            try:
                found = await self._client.get(Lease, self._name.name, namespace=self._name.namespace)
                self._take(found.metadata, changed)
                self.problem = ""
            except API_FAILURES as error:
                # There is none before the first replica leads.
                self.problem = "" if _is_missing(error) else f"{self._name} can't be read: {error}"
            if not self.problem:
                self.is_known.set()
            await asyncio.sleep(_POLL_SECONDS)

    def _take(self, metadata: Any, changed: Callable[[], None]) -> None:
        text = ((metadata and metadata.annotations) or {}).get(_ANNOTATION)
        found = Switched.parsed(text) if text else Switched()
        if found != self.state:
            self.state = found
            changed()


class SwitchOperations:
    """The operations on the switch.

    Args:
        switch: The switch.
        in_force: The mesh in force, whose settings it changes.
        events: What listeners are told.
    """

    def __init__(self, switch: OverrideSwitch, in_force: MeshInForce, events: Events) -> None:
        self._switch = switch
        self._in_force = in_force
        self._events = events

    @property
    def state(self) -> Switched:
        """How it stands."""
        return self._switch.state

    async def switch(self, caller: Identity, *, is_off: bool, reason: str) -> None:
        """Have the whole mesh ignore overrides, or honor them again.

        Raises:
            ForbiddenError: The caller is not an admin.
            StorageError: It could not be kept, and does not count.
        """
        caller.expect(Role.ADMIN)
        await self._switch.switch(is_off=is_off, reason=reason, by=caller.name)
        self.take()

    async def follow(self) -> None:
        """Keep up with what other servers switch, until cancelled."""
        await self._switch.follow(self.take)

    def take(self) -> None:
        """Take over how it stands now."""
        self._in_force.refresh()
        self._events.tell(Event(KIND))


def _is_missing(error: Exception) -> bool:
    return getattr(getattr(error, "response", None), "status_code", 0) == 404


def _of_change(change: Change | None) -> Switched:
    if change is None:
        return Switched()
    reason = "" if change.subject == "the whole mesh" else change.subject
    return Switched(change.action == OFF, reason, change.who, change.at)
