"""The kill switch for overrides in the whole mesh, and its storage.

Invariant: a confirmed change is stored. It survives restarts, and every replica follows it within a second.
"""

import asyncio
import json
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from detour.access import Identity, Role
from detour.database import Change, ChangeLog, StorageError
from detour.reason import reason_of
from detour.server.events import Events, LiveEvent
from detour.server.followed_database import FollowedDatabase
from detour.server.mesh_in_force import MeshInForce
from detour.standing_problem import StandingProblem

KIND: Final = "overrides"
"""The kind of the switch in the log of changes, and of its events."""

OFF: Final = "switched off"
ON: Final = "switched on"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SwitchPosition:
    """The position of the switch.

    Args:
        is_off: Whether overrides are ignored.
        reason: The reason that the user gave.
        by: The user who last used the switch; "" if it was never used.
        at: When the switch was last used (timezone-aware).
    """

    is_off: bool = False
    reason: str = ""
    by: str = ""
    at: datetime | None = None

    @property
    def explanation(self) -> str:
        """Why overrides are ignored, in printable ASCII for a header; "" if they are honoured."""
        if not self.is_off:
            return ""
        when = f" since {self.at:%Y-%m-%d %H:%M} UTC" if self.at else ""
        text = f"overrides are switched off by {self.by}{when}" + (f": {self.reason}" if self.reason else "")
        return "".join(one if " " <= one <= "~" else "?" for one in text)

    def to_json(self) -> str:
        """Return it as text for `from_json`."""
        at = self.at.isoformat() if self.at else None
        return json.dumps({"off": self.is_off, "reason": self.reason, "by": self.by, "at": at})

    @staticmethod
    def from_json(text: str) -> "SwitchPosition":
        """Return the position from the text of `to_json`.

        Raises:
            ValueError: The text has another format.
        """
        try:
            found = json.loads(text)
            at = datetime.fromisoformat(found["at"]) if found["at"] else None
            return SwitchPosition(bool(found["off"]), str(found["reason"]), str(found["by"]), at)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{text!r} is not a position of the kill switch") from error


class OverrideSwitch(ABC):
    """The switch, with its storage.

    Args:
        state: Its position.
    """

    def __init__(self, state: SwitchPosition | None = None) -> None:
        self.state = state or SwitchPosition()
        self.is_known = asyncio.Event()
        """Set once `state` is the stored position."""
        self.is_known.set()
        self._problem = StandingProblem(_log)

    @property
    def problems(self) -> Sequence[str]:
        """Why changes by other servers are currently not visible, a line; empty if they are."""
        return self._problem.lines

    async def switch(self, *, is_off: bool, reason: str, by: str) -> None:
        """Switch overrides off or on.

        Raises:
            StorageError: The change could not be stored, and has no effect.
        """
        wanted = SwitchPosition(is_off, reason, by, datetime.now(UTC))
        await self._store(wanted)
        self.state = wanted
        _log.warning("%s has %s overrides%s", by, OFF if is_off else ON, f": {reason}" if reason else "")

    @abstractmethod
    async def _store(self, wanted: SwitchPosition) -> None:
        """Store a position.

        Raises:
            StorageError: It could not be stored.
        """

    async def follow(self, changed: Callable[[], None]) -> None:
        """Follow changes by other servers, until cancelled; by default, no other servers exist."""
        del changed


class MemorySwitch(OverrideSwitch):
    """A switch without storage: a restart switches overrides on."""

    async def _store(self, wanted: SwitchPosition) -> None:
        del wanted


class FileSwitch(OverrideSwitch):
    """A switch that is stored in a file.

    Construction blocks.

    Args:
        path: The file.

    Raises:
        StorageError: From construction: the file exists, and cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            super().__init__(SwitchPosition.from_json(path.read_text(encoding="utf-8")) if path.exists() else None)
        except (ValueError, OSError) as error:
            raise StorageError(
                f"{path}: {reason_of(error)}; correct the file, or remove it to switch overrides on"
            ) from error

    async def _store(self, wanted: SwitchPosition) -> None:
        try:
            await asyncio.to_thread(self._write, wanted.to_json())
        except OSError as error:
            raise StorageError(
                f"{self._path} cannot be written, so the kill switch did not change: {error.strerror}"
            ) from error

    def _write(self, text: str) -> None:
        """Write atomically: if the process is killed, the file has either the old or the new content."""
        new = self._path.with_name(f"{self._path.name}.new")
        with new.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)


class DatabaseSwitch(OverrideSwitch):
    """A switch whose position is its last entry in the log of changes; the database stores nothing else.

    Construction blocks.

    Raises:
        StorageError: From construction: the database does not answer, or refuses.
    """

    def __init__(self, database: FollowedDatabase) -> None:
        self._log = ChangeLog(database.database)
        self._database = database
        super().__init__(_of_change(self._log.last(KIND)))
        database.register_cache(KIND, self._reload)

    async def _store(self, wanted: SwitchPosition) -> None:
        await self._database.note(wanted.by, OFF if wanted.is_off else ON, KIND, wanted.reason or "the whole mesh")

    def _reload(self, _: Collection[str]) -> None:
        self.state = _of_change(self._log.last(KIND))


class SwitchOperations:
    """The operations on the switch.

    Args:
        switch: The switch.
        in_force: The mesh in force, whose settings it changes.
        events: Publishes changes of the switch.
    """

    def __init__(self, switch: OverrideSwitch, in_force: MeshInForce, events: Events) -> None:
        self._switch = switch
        self._in_force = in_force
        self._events = events

    @property
    def state(self) -> SwitchPosition:
        """The position of the switch."""
        return self._switch.state

    async def switch(self, caller: Identity, *, is_off: bool, reason: str) -> None:
        """Make the whole mesh ignore overrides, or honour them again.

        Raises:
            ForbiddenError: The caller is not an admin.
            StorageError: The change could not be stored, and has no effect.
        """
        caller.expect(Role.ADMIN)
        await self._switch.switch(is_off=is_off, reason=reason, by=caller.name)
        self.take()

    async def follow(self) -> None:
        """Follow changes by other servers, until cancelled."""
        await self._switch.follow(self.take)

    def take(self) -> None:
        """Put the current position into force."""
        self._in_force.refresh()
        self._events.publish(LiveEvent(KIND))


def _of_change(change: Change | None) -> SwitchPosition:
    if change is None:
        return SwitchPosition()
    reason = "" if change.subject == "the whole mesh" else change.subject
    return SwitchPosition(change.action == OFF, reason, change.who, change.at)
