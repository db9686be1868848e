"""The log of changes: who changed what, and when. Servers read in it what other servers have written."""

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
        at: When it took effect (timezone-aware).
        who: The user or program that requested it.
        action: The kind of change, as a verb: `created`, `changed`, `removed`.
        kind: The kind of thing that changed: `scenario`, `deployment`, `key`, `overrides`.
        subject: The name of the thing that changed.
        version: The version that the change created, for things with versions.
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
        """Return the changes after a revision, oldest first."""
        query = select(changes).where(changes.c.revision > number).order_by(changes.c.revision).limit(limit)
        with self._database.reading() as connection:
            return [Change(*row) for row in connection.execute(query)]

    def before(self, number: int | None, limit: int) -> Sequence[Change]:
        """Return the changes before a revision, or the last ones for None; newest first."""
        query = select(changes).order_by(changes.c.revision.desc()).limit(limit)
        if number is not None:
            query = query.where(changes.c.revision < number)
        with self._database.reading() as connection:
            return [Change(*row) for row in connection.execute(query)]

    def last(self, kind: str) -> Change | None:
        """Return the last change of a kind; None if the log has none."""
        query = select(changes).where(changes.c.kind == kind).order_by(changes.c.revision.desc()).limit(1)
        with self._database.reading() as connection:
            found = connection.execute(query).first()
        return Change(*found) if found else None

    def add(self, who: str, action: str, kind: str, subject: str) -> Change:
        """Log a change that is not stored in this database."""
        with self._database.writing() as connection:
            return note(connection, who, action, kind, subject=subject)


def lock(connection: Connection) -> None:
    """Block other writers until this transaction ends, so that what it has read stays true."""
    connection.execute(select(revision.c.number).with_for_update())


def note(
    connection: Connection, who: str, action: str, kind: str, *, subject: str, version: int | None = None
) -> Change:
    """Log a change in the transaction that makes it."""
    number = connection.execute(
        update(revision).values(number=revision.c.number + 1).returning(revision.c.number)
    ).scalar_one()
    made = Change(number, datetime.now(UTC), who, action, kind, subject, version)
    connection.execute(insert(changes).values(asdict(made)))
    return made
