"""What an issuer's claims say of somebody."""

import pytest

from detour.access import ForbiddenError, Identity, IssuerSettings, Role, Via

ADA = {"sub": "00u1", "email": "ada@example.com", "roles": ["developer"]}


def settings(**changes: object) -> IssuerSettings:
    """Return the settings of an issuer."""
    return IssuerSettings("https://accounts.example.com", "detour", **changes)


def test_the_highest_role_counts():
    """Of several; other values mean nothing."""
    found = settings().identity({**ADA, "roles": ["viewer", "admin", "cook"]})
    assert found == Identity("ada@example.com", Role.ADMIN, Via.OIDC)


@pytest.mark.parametrize(
    ("claim", "claims"),
    [
        ("roles", {"roles": "developer other"}),
        ("realm_access.roles", {"realm_access": {"roles": ["developer"]}}),
        ("https://example.com/roles", {"https://example.com/roles": ["developer"]}),
    ],
)
def test_where_roles_stand(claim, claims):
    """A list or words, also inside other claims, also by a name with dots."""
    assert settings(role_claim=claim).identity({"sub": "1", **claims}).role is Role.DEVELOPER


def test_own_names_for_roles():
    """Groups of the company, or whoever can sign in."""
    known = {Role.ADMIN: frozenset({"platform"}), Role.VIEWER: frozenset({"*"})}
    roles = {"platform": Role.ADMIN, "admin": Role.VIEWER, "": Role.VIEWER}
    for group, role in roles.items():
        assert settings(roles=known).identity({**ADA, "roles": [group]}).role is role


@pytest.mark.parametrize("roles", [None, [], ["cook"], {"admin": True}, 7, [["admin"]]])
def test_without_a_role_nobody_is_let_in(roles):
    """The message says which claim was looked at, and for what."""
    with pytest.raises(ForbiddenError, match=r"ada@example.com is signed in.* roles has none of admin, developer"):
        settings().identity({**ADA, "roles": roles})


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "ada@example.com"),
        ({"email_verified": True}, "ada@example.com"),
        ({"email_verified": False}, "00u1"),
        ({"email": "a\x1b[2J"}, "00u1"),
        ({"email": ["ada"]}, "00u1"),
    ],
)
def test_what_somebody_is_called(changes, name):
    """By an e-mail address that is theirs, or else by the subject, which the issuer gives to nobody else."""
    assert settings().identity({**ADA, **changes}).name == name


def test_the_claim_of_names():
    """Can be chosen."""
    assert settings(name_claim="login").identity({**ADA, "login": "ada"}).name == "ada"
