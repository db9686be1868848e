"""What roles allow, and whom owners are protected from."""

import pytest

from detour.access import ForbiddenError, Identity, Role, Via
from detour.access.identity import NAME_MAX

VIEWER, ADA, ROOT = (
    Identity("vic", Role.VIEWER, Via.OIDC),
    Identity("ada", Role.DEVELOPER, Via.TOKEN),
    Identity("root", Role.ADMIN, Via.LOCAL),
)


@pytest.mark.parametrize(
    ("one", "included"),
    [
        (Role.VIEWER, {Role.VIEWER}),
        (Role.DEVELOPER, {Role.VIEWER, Role.DEVELOPER}),
        (Role.ADMIN, {Role.VIEWER, Role.DEVELOPER, Role.ADMIN}),
    ],
)
def test_a_role_includes_the_lower_ones(one: Role, included: set[Role]) -> None:
    """And itself; callers with another role are refused with both in the message."""
    assert {role for role in Role if one.includes(role)} == included
    for role in Role:
        caller = Identity("ada", one, Via.TOKEN)
        if role in included:
            caller.expect(role)
            continue
        with pytest.raises(ForbiddenError) as raised:
            caller.expect(role)
        assert str(raised.value) == (
            f"this needs the role {role}, and ada has the role {one}: ask an admin for the role"
        )


def test_values_that_are_stored_or_configured() -> None:
    """Written out by hand: a changed value is a changed promise."""
    assert list(Role) == ["viewer", "developer", "admin"]
    assert list(Via) == ["local", "token", "oidc"]
    assert NAME_MAX == 100


@pytest.mark.parametrize(
    ("caller", "owner", "may"),
    [
        (ADA, "ada", True),
        (ADA, "", True),
        (ADA, "bo", False),
        (VIEWER, "ada", False),
        (ROOT, "ada", True),
        (ROOT, "root", True),
    ],
)
def test_only_owners_and_admins_have_an_owners_rights(caller: Identity, owner: str, may: bool) -> None:
    """All users have them over things without an owner."""
    assert caller.may_act_for(owner) is may
    if may:
        caller.expect_owner("scenario a", owner)
        return
    with pytest.raises(ForbiddenError) as raised:
        caller.expect_owner("scenario a", owner)
    assert str(raised.value) == f"scenario a belongs to {owner}: only {owner} or an admin may do that"


def test_only_admins_act_as_others() -> None:
    """Or for all of them."""
    assert (ROOT.acting_as("bo"), ROOT.acting_as(None)) == ("bo", None)
    assert ADA.acting_as("bo") == ADA.acting_as(None) == "ada"
