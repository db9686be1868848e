"""The tables, as SQLAlchemy sees them; `migrations/` creates them.

Invariant: versions of scenarios are only added, never changed, and the log of changes names each of them.
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

# The order of names does not depend on the locale of the database server.
Name = Text().with_variant(Text(collation="C"), "postgresql")


class Moment(TypeDecorator[datetime]):
    """A timestamp in UTC. SQLite stores no time zone, so reading adds it."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert a value to write."""
        del dialect
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert a value that was read."""
        del dialect
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value and value.astimezone(UTC)


revision = Table(
    "revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    CheckConstraint("id = 1", name="only_one_row"),
)
"""The number of changes. Every writer first locks the only row, so that changes have a total order."""

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
"""The current version of each scenario."""

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
"""Every version of each scenario; `overrides` is a baggage header. A removal is a version, too."""

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
"""A token whose SHA-256 is `digest` acts as `owner`, with that role. A removed token has no row."""

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("name", Text, primary_key=True),
    Column("begins", Moment, nullable=False),
    Column("seed", LargeBinary, nullable=False),
)
"""The keys that sign override tokens. They are secret: they allow issuing tokens."""

schema_compatibility = Table("schema_compatibility", metadata, Column("readable_since", Text, primary_key=True))
"""One row: the oldest schema whose servers can use this one (`migrations.READABLE_SINCE`)."""
