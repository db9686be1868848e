"""The log of changes: who changed what, and when. Servers learn from it what others have written."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select, update

from detour.database.connection import Database
from detour.database.tables import changes, revision


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the log.

    Args:
        revision: Its number: 1, 2, 3, in the order in which changes took effect.
        who: The person or program that asked for it.
        action: What was done, as a verb: `created`, `changed`, `removed`.
        kind: What it was done to: `scenario`, `deployment`, `key`, `overrides`.
        subject: Which one.
        version: The version that it made, where there are versions.
    """

    revision: int
    at: datetime
    who: str
    action: str
    kind: str
    subject: str
    version: int | None = None


class ChangeLog:
    """The log of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def revision(self) -> int:
        """Return the number of the last change; 0 before the first."""
        with self._database.reading() as connection:
            return int(connection.execute(select(revision.c.number)).scalar_one())

    def since(self, number: int, limit: int) -> Sequence[Change]:
        """Return what came after a change, oldest first."""
        query = select(changes).where(changes.c.revision > number).order_by(changes.c.revision).limit(limit)
        with self._database.reading() as connection:
            return [Change(*row) for row in connection.execute(query)]

    def before(self, number: int | None, limit: int) -> Sequence[Change]:
        """Return what came before a change, or else the last ones; newest first."""
        query = select(changes).order_by(changes.c.revision.desc()).limit(limit)
        if number is not None:
            query = query.where(changes.c.revision < number)
        with self._database.reading() as connection:
            return [Change(*row) for row in connection.execute(query)]

    def last(self, kind: str) -> Change | None:
        """Return the last change of a kind; None if there was none."""
        query = select(changes).where(changes.c.kind == kind).order_by(changes.c.revision.desc()).limit(1)
        with self._database.reading() as connection:
            found = connection.execute(query).first()
        return Change(*found) if found else None

    def add(self, who: str, action: str, kind: str, subject: str) -> Change:
        """Note a change that is kept elsewhere."""
        with self._database.writing() as connection:
            return note(connection, who, action, kind, subject=subject)


def lock(connection: Connection) -> None:
    """Make other writers wait for the end of this transaction, so that what it reads from here on stays true."""
    connection.execute(select(revision.c.number).with_for_update())


def note(
    connection: Connection, who: str, action: str, kind: str, *, subject: str, version: int | None = None
) -> Change:
    """Note a change in the transaction that makes it."""
    number = connection.execute(
        update(revision).values(number=revision.c.number + 1).returning(revision.c.number)
    ).scalar_one()
    made = Change(number, datetime.now(UTC), who, action, kind, subject, version)
    connection.execute(insert(changes).values(asdict(made)))
    return made
