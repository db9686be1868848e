"""The operations on scenarios, with their permissions.

Invariant: each operation checks the permissions of its caller, over HTTP and within this process. A change names
the version that it is based on, so that two people who edit at the same time cannot overwrite each other.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from detour.access import Identity, Role
from detour.mesh import Mesh, checking
from detour.overrides import Overrides
from detour.scenarios import Draft, Filter, LifecycleState, NoScenarioError, Scenario
from detour.server.followed_database import expect_database
from detour.server.scenario_book import ScenarioBook


class ScenarioEndedError(LookupError):
    """The scenario has expired or was removed; the message says which."""


class UnknownNamesError(ValueError):
    """Overrides name a service or a deployment that the mesh does not have; the message suggests the nearest."""


class NoVersionError(ValueError):
    """The change does not name the version that it is based on."""


class ScenarioOperations:
    """The operations on scenarios.

    Args:
        book: The scenarios; None without a database: then every operation raises `NoDatabaseError`.
        mesh: Returns the mesh in force; None while it is still being read, and names cannot be checked.
    """

    def __init__(self, book: ScenarioBook | None, mesh: Callable[[], Mesh | None]) -> None:
        self._book = book
        self._mesh = mesh

    def get(self, name: str) -> Scenario:
        """Return the last version of a scenario, in any state.

        Raises:
            NoScenarioError: No scenario ever had that name.
        """
        return self._kept.get(name)

    def live(self, name: str) -> Scenario:
        """Return a live scenario.

        Raises:
            ScenarioEndedError: It has expired or was removed.
            NoScenarioError: No scenario ever had that name.
        """
        found = self.get(name)
        match found.state(datetime.now(UTC)):
            case LifecycleState.REMOVED:
                raise ScenarioEndedError(f"scenario {name} was removed by {found.changed_by}")
            case LifecycleState.EXPIRED:
                when = f"scenario {name} expired at {found.expires:%Y-%m-%d %H:%M} UTC"
                raise ScenarioEndedError(f"{when}; to use it again, change its expiry")
            case LifecycleState.LIVE:
                return found

    def overrides_of(self, name: str | None) -> Overrides:
        """Return the overrides that a scenario adds to a request at an edge; none if it has ended, or for None.

        Raises:
            NoScenarioError: No scenario ever had that name.
        """
        found = self.get(name) if name is not None else None
        is_live = found is not None and found.state(datetime.now(UTC)) is LifecycleState.LIVE
        return found.overrides if found and is_live else Overrides()

    async def list(self, wanted: Filter, after: str, limit: int) -> Sequence[Scenario]:
        """Return scenarios by name, as `ScenarioStore.all` does."""
        return await self._kept.all(wanted, after, limit)

    async def versions(self, name: str, before: int | None, limit: int) -> Sequence[Scenario]:
        """Return versions of a scenario, newest first, as `ScenarioStore.versions` does."""
        return await self._kept.versions(name, before, limit)

    async def version(self, name: str, version: int) -> Scenario:
        """Return a version of a scenario, as `ScenarioStore.version` does."""
        return await self._kept.version(name, version)

    async def create(self, caller: Identity, name: str, draft: Draft, *, force: bool = False) -> Scenario:
        """Create a scenario.

        Args:
            caller: The user who requests it.
            name: Its name.
            draft: Its content.
            force: Whether overrides may name services and deployments that the mesh does not have.

        Raises:
            ForbiddenError: The caller is only a viewer.
            UnknownNamesError: An override names a service or deployment that the mesh does not have.
            ScenarioExistsError: The name is taken.
        """
        caller.expect(Role.DEVELOPER)
        before = self._last(name)
        # If the name is taken, that is the error to raise.
        is_taken = before is not None and before.state(datetime.now(UTC)) is LifecycleState.LIVE
        if not (force or is_taken):
            self._expect_known(draft.overrides, before)
        return await self._kept.create(name, draft, caller.name)

    async def change(
        self,
        caller: Identity,
        name: str,
        draft: Callable[[str], Draft],
        version: int | None,
        *,
        force: bool = False,
    ) -> Scenario:
        """Create the next version of a scenario.

        Args:
            caller: The user who requests it: at least a developer; a new owner needs the owner or an admin.
            name: Its name.
            draft: Returns the new content, given the current owner.
            version: The version that the change is based on.
            force: Whether new overrides may name services and deployments that the mesh does not have.

        Raises:
            ForbiddenError: The caller may not change the scenario, or its owner.
            UnknownNamesError: A new override names a service or deployment that the mesh does not have.
            NoVersionError: `version` is None.
            NoScenarioError: The scenario does not exist.
            OutdatedError: `version` is no longer the last one.
        """
        caller.expect(Role.DEVELOPER)
        before = self._last(name)
        if not force:
            self._expect_known(draft("").overrides, before)
        version = _expect_version(version)
        owner = self.get(name).owner
        changed = draft(owner)
        if changed.owner != owner:
            caller.expect_owner(f"scenario {name}", owner)
        return await self._kept.change(name, changed, caller.name, version)

    async def remove(self, caller: Identity, name: str, version: int | None) -> None:
        """Remove a scenario; its versions stay readable.

        Args:
            caller: The user who requests it: its owner, or an admin.
            name: Its name.
            version: The version that the caller has read.

        Raises:
            ForbiddenError: The caller is neither its owner nor an admin.
            NoVersionError: `version` is None.
            NoScenarioError: The scenario does not exist.
            OutdatedError: `version` is no longer the last one.
        """
        caller.expect(Role.DEVELOPER)
        version = _expect_version(version)
        caller.expect_owner(f"scenario {name}", self.get(name).owner)
        await self._kept.remove(name, caller.name, version)

    @property
    def _kept(self) -> ScenarioBook:
        return expect_database(self._book)

    def _last(self, name: str) -> Scenario | None:
        try:
            return self.get(name)
        except NoScenarioError:
            return None

    def _expect_known(self, overrides: Overrides, before: Scenario | None) -> None:
        """Refuse overrides that have no effect in the mesh, except those that the scenario already had."""
        kept = frozenset(before.overrides) if before else frozenset()
        new = Overrides.collect(one for one in overrides if one not in kept)
        mesh = self._mesh()
        found = checking.mistakes(new, mesh) if mesh is not None else []
        if found:
            detail = "; ".join(checking.explained(found))
            end = "" if detail.endswith("?") else "."
            raise UnknownNamesError(f"{detail}{end} To use names that do not exist yet, add ?force=true")


def _expect_version(version: int | None) -> int:
    if version is None:
        raise NoVersionError(
            'name the version that you change: send the ETag that you read, as in If-Match: "3"; to create a'
            " scenario, send If-None-Match: *"
        )
    return version
