"""Operations called within the server's process: callers have the same permissions as over HTTP."""

from datetime import UTC, datetime, timedelta

import pytest

from detour.access import ForbiddenError, Identity, Role, Via
from detour.mesh import Endpoint, OffloadedDeployment
from detour.offload.ownership import OwnedByAnotherError
from detour.overrides import Kind, Override, Overrides
from detour.scenarios import Draft
from detour.server.edge_client import TrialRequest
from detour.server.identities import TokenBook
from detour.server.tokens import TokenOperations
from server.conftest import ADMIN

VIEWER = Identity("vic", Role.VIEWER, Via.TOKEN)
ANA, BOB = (Identity(name, Role.DEVELOPER, Via.TOKEN) for name in ("ana", "bob"))
PR_42 = OffloadedDeployment("users", "pr-42", (Endpoint("127.0.0.1", 9101),))
DRAFT = Draft(Overrides.collect([Override(Kind.ROUTE, "users", "filed")]), owner="ana")
LATER = datetime.now(UTC) + timedelta(hours=1)


async def test_viewers_change_nothing(plane):
    """Every operation refuses them."""
    attempts = [
        plane.deployments.register(VIEWER, PR_42),
        plane.deployments.extend(VIEWER, "users", "pr-42", LATER),
        plane.deployments.remove(VIEWER, "users", "pr-42"),
        plane.deployments.undo(VIEWER, "users", "pr-42"),
        plane.scenarios.create(VIEWER, "checkout", DRAFT),
        plane.scenarios.change(VIEWER, "checkout", lambda _: DRAFT, 1),
        plane.scenarios.remove(VIEWER, "checkout", 1),
        plane.trials.attempt(VIEWER, TrialRequest()),
        TokenOperations(TokenBook(plane.book.database)).create(VIEWER, "ci", Role.VIEWER, None, None),
        TokenOperations(TokenBook(plane.book.database)).remove(VIEWER, "0" * 12),
        plane.switch.switch(VIEWER, is_off=True, reason=""),
    ]
    for attempt in attempts:
        with pytest.raises(ForbiddenError, match="and vic has the role viewer"):
            await attempt
    with pytest.raises(ForbiddenError, match="and vic has the role viewer"):
        plane.override_tokens.issue(VIEWER, timedelta(minutes=1))


async def test_only_the_owner_or_an_admin_changes_a_deployment(plane):
    """Others cannot replace, extend, undo or remove it, whatever owner they name."""
    made = await plane.deployments.register(ANA, PR_42)
    assert made.owner == plane.mesh.deployment("users", "pr-42").owner == "ana"
    for attempt in (
        plane.deployments.register(BOB, PR_42),
        plane.deployments.extend(BOB, "users", "pr-42", LATER, "ana"),
        plane.deployments.remove(BOB, "users", "pr-42", "ana"),
    ):
        with pytest.raises(OwnedByAnotherError, match="users@pr-42 belongs to ana"):
            await attempt
    with pytest.raises(ForbiddenError, match="only ana or an admin"):
        await plane.deployments.undo(BOB, "users", "pr-42")
    assert await plane.deployments.remove(ADMIN, "users", "pr-42")


async def test_only_the_owner_transfers_or_removes_a_scenario(plane):
    """All users except viewers may change its overrides."""
    made = await plane.scenarios.create(ANA, "checkout", DRAFT)
    taken = Draft(DRAFT.overrides, owner="bob")
    with pytest.raises(ForbiddenError, match="scenario checkout belongs to ana"):
        await plane.scenarios.change(BOB, "checkout", lambda _: taken, made.version)
    with pytest.raises(ForbiddenError, match="scenario checkout belongs to ana"):
        await plane.scenarios.remove(BOB, "checkout", made.version)
    await plane.scenarios.change(BOB, "checkout", lambda _: DRAFT, made.version)
    assert plane.scenarios.get("checkout").changed_by == "bob"


async def test_a_token_has_at_most_the_permissions_of_its_creator(plane):
    """It cannot have a higher role, or act as another user."""
    tokens = TokenOperations(TokenBook(plane.book.database))
    with pytest.raises(ForbiddenError, match="this needs the role admin"):
        await tokens.create(ANA, "ci", Role.ADMIN, None, None)
    with pytest.raises(ForbiddenError, match="belongs to bob"):
        await tokens.create(ANA, "ci", Role.DEVELOPER, "bob", None)
    made, _ = await tokens.create(ANA, "ci", Role.DEVELOPER, None, None)
    with pytest.raises(ForbiddenError, match="belongs to ana"):
        await tokens.remove(BOB, made.id)
    assert (list(tokens.list(BOB)), [one.id for one in tokens.list(ANA)]) == ([], [made.id])


async def test_developers_cannot_switch_overrides_off(plane):
    """Only admins can."""
    with pytest.raises(ForbiddenError, match="this needs the role admin"):
        await plane.switch.switch(ANA, is_off=True, reason="")
    await plane.switch.switch(ADMIN, is_off=True, reason="")
    assert plane.mesh.settings.overrides_off.startswith("overrides are switched off by ops")
