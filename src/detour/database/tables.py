"""The tables, as SQLAlchemy knows them; `migrations/` makes them.

Invariant: whatever people write is only added to. A scenario's versions are never changed, and the log of changes
names each of them.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)

metadata = MetaData()

# Names are listed in one order, whatever language a server speaks.
Name = Text().with_variant(Text(collation="C"), "postgresql")


class Moment(TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps no time zone, so that it has to be put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert what is written."""
        del dialect
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert what is read."""
        del dialect
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value and value.astimezone(UTC)


revision = Table(
    "revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    CheckConstraint("id = 1", name="only_one_row"),
)
"""How many changes there have been. Every writer locks its one row first, so that changes have one order."""

changes = Table(
    "changes",
    metadata,
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("version", Integer),
)
"""Who changed what, and when."""

scenarios = Table(
    "scenarios",
    metadata,
    Column("name", Name, primary_key=True),
    Column("version", Integer, nullable=False),
)
"""Which version of each scenario counts."""

scenario_versions = Table(
    "scenario_versions",
    metadata,
    Column("name", Name, ForeignKey("scenarios.name"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("overrides", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("expires", Moment),
    Column("is_removed", Boolean, nullable=False),
    Column("changed", Moment, nullable=False),
    Column("changed_by", Text, nullable=False),
)
"""Every version of each scenario; `overrides` is a baggage header. Removing one is a version, too."""

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("created", Moment, nullable=False),
    Column("expires", Moment),
)
"""Who brings a token whose SHA-256 is `digest` is its owner, with that role. One that is removed has no row."""

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("name", Text, primary_key=True),
    Column("begins", Moment, nullable=False),
    Column("seed", LargeBinary, nullable=False),
)
"""The keys of override tokens; who can read them can make such tokens."""
