"""Scenarios in a database.

Invariant: a write names the version that it is based on, and is refused if that is no longer the last one. So two
people who edit at the same time cannot overwrite each other. Old versions never change.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Row, Select, and_, insert, or_, select, update

from detour.database import Change, Database
from detour.database.log import lock, note
from detour.database.tables import scenario_versions, scenarios
from detour.overrides import append_to_baggage, parse_baggage
from detour.scenarios.model import (
    Draft,
    LifecycleState,
    NoScenarioError,
    OutdatedError,
    Scenario,
    ScenarioExistsError,
)

_current = select(scenario_versions).join(
    scenarios,
    and_(scenarios.c.name == scenario_versions.c.name, scenarios.c.version == scenario_versions.c.version),
)


@dataclass(frozen=True, slots=True)
class Filter:
    """The scenarios to list.

    Args:
        now: The current time (timezone-aware).
        state: Only scenarios in this state at `now`; None for all.
        owner: Only scenarios of this owner; "" for all.
    """

    now: datetime
    state: LifecycleState | None = LifecycleState.LIVE
    owner: str = ""


class ScenarioStore:
    """The scenarios of a database.

    Methods block; any thread may call them. Every method that writes returns its entry in the log of changes.

    Raises:
        StorageError: From any method: the database does not answer, or refuses.
    """

    KIND: Final = "scenario"
    """The kind of a scenario in the log of changes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, draft: Draft, by: str) -> tuple[Scenario, Change]:
        """Create a scenario; one that was removed is created again, with the next version.

        Raises:
            ScenarioExistsError: One of that name exists, even if it has expired.
        """
        with self._database.writing() as connection:
            lock(connection)
            version = _next_version(connection, name)
            change = note(connection, by, "created", self.KIND, subject=name, version=version)
            return _add(connection, name, draft, change), change

    def change(self, name: str, draft: Draft, by: str, version: int) -> tuple[Scenario, Change]:
        """Create the next version of a scenario.

        Args:
            name: The scenario.
            draft: The new version.
            by: The user who changes it.
            version: The version that the change is based on.

        Raises:
            NoScenarioError: The scenario does not exist.
            OutdatedError: `version` is no longer the last one.
        """
        with self._database.writing() as connection:
            lock(connection)
            _expect(connection, name, version)
            change = note(connection, by, "changed", self.KIND, subject=name, version=version + 1)
            return _add(connection, name, draft, change), change

    def remove(self, name: str, by: str, version: int) -> Change:
        """Remove a scenario; its versions can still be read.

        Raises:
            NoScenarioError: The scenario does not exist.
            OutdatedError: `version` is no longer the last one.
        """
        with self._database.writing() as connection:
            lock(connection)
            last = _expect(connection, name, version)
            draft = Draft(last.overrides, last.owner, last.description, last.expires)
            change = note(connection, by, "removed", self.KIND, subject=name, version=version + 1)
            _add(connection, name, draft, change, is_removed=True)
            return change

    def get(self, name: str) -> Scenario:
        """Return the last version of a scenario, even if it has expired or was removed.

        Raises:
            NoScenarioError: No scenario ever had that name.
        """
        with self._database.reading() as connection:
            return _get(connection, name)

    def version(self, name: str, version: int) -> Scenario:
        """Return a version of a scenario.

        Raises:
            NoScenarioError: The scenario or the version does not exist.
        """
        query = select(scenario_versions).where(
            scenario_versions.c.name == name, scenario_versions.c.version == version
        )
        with self._database.reading() as connection:
            last = _get(connection, name)
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NoScenarioError(f"scenario {name} has no version {version}; its last one is {last.version}")
        return _scenario(row)

    def versions(self, name: str, before: int | None, limit: int) -> Sequence[Scenario]:
        """Return versions of a scenario, newest first.

        Args:
            name: The scenario.
            before: Return only versions before this one; None starts with the last.
            limit: Maximum number of versions.

        Raises:
            NoScenarioError: No scenario ever had that name.
        """
        query = select(scenario_versions).where(scenario_versions.c.name == name)
        if before is not None:
            query = query.where(scenario_versions.c.version < before)
        query = query.order_by(scenario_versions.c.version.desc()).limit(limit)
        with self._database.reading() as connection:
            _get(connection, name)
            return [_scenario(row) for row in connection.execute(query)]

    def all(self, wanted: Filter, after: str, limit: int) -> Sequence[Scenario]:
        """Return scenarios, ordered by name.

        Args:
            wanted: The scenarios to return.
            after: Return only names after this one.
            limit: Maximum number of scenarios.
        """
        query = _filtered(_current.where(scenarios.c.name > after), wanted).order_by(scenarios.c.name).limit(limit)
        with self._database.reading() as connection:
            return [_scenario(row) for row in connection.execute(query)]


def _filtered(query: Select[tuple[object, ...]], wanted: Filter) -> Select[tuple[object, ...]]:
    columns = scenario_versions.c
    if wanted.owner:
        query = query.where(columns.owner == wanted.owner)
    match wanted.state:
        case LifecycleState.LIVE:
            query = query.where(~columns.is_removed, or_(columns.expires.is_(None), columns.expires > wanted.now))
        case LifecycleState.EXPIRED:
            query = query.where(~columns.is_removed, columns.expires <= wanted.now)
        case LifecycleState.REMOVED:
            query = query.where(columns.is_removed)
    return query


def _find(connection: Connection, name: str) -> Scenario | None:
    row = connection.execute(_current.where(scenarios.c.name == name)).one_or_none()
    return _scenario(row) if row else None


def _get(connection: Connection, name: str) -> Scenario:
    found = _find(connection, name)
    if found is None:
        raise NoScenarioError(f"scenario {name} does not exist")
    return found


def _expect(connection: Connection, name: str, version: int) -> Scenario:
    last = _get(connection, name)
    if last.version != version:
        raise OutdatedError(last)
    if last.is_removed:
        raise NoScenarioError(f"scenario {name} was removed by {last.changed_by or 'an unknown user'}")
    return last


def _next_version(connection: Connection, name: str) -> int:
    last = _find(connection, name)
    if last and not last.is_removed:
        raise ScenarioExistsError(
            f"scenario {name} already exists, {f'owned by {last.owner}' if last.owner else 'without an owner'}:"
            " change it, or choose another name"
        )
    return last.version + 1 if last else 1


def _add(connection: Connection, name: str, draft: Draft, change: Change, *, is_removed: bool = False) -> Scenario:
    made = Scenario(
        name,
        change.version or 1,
        draft.overrides,
        draft.owner,
        draft.description,
        draft.expires,
        changed=change.at,
        changed_by=change.who,
        is_removed=is_removed,
    )
    head = (
        insert(scenarios).values(name=name)
        if made.version == 1
        else update(scenarios).where(scenarios.c.name == name)
    )
    connection.execute(head.values(version=made.version))
    row = {one.name: getattr(made, one.name) for one in fields(made)}
    row["overrides"] = append_to_baggage(None, made.overrides)
    connection.execute(insert(scenario_versions).values(row))
    return made


def _scenario(row: Row[tuple[object, ...]]) -> Scenario:
    values = row._asdict()
    return Scenario(**{**values, "overrides": parse_baggage([values["overrides"]]).overrides})
