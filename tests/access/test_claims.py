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
        ({"email_verified": "true"}, "ada@example.com"),
        ({"email_verified": False}, "00u1"),
        ({"email_verified": "false"}, "00u1"),
        ({"email_verified": None}, "00u1"),
        ({"email_verified": 0}, "00u1"),
        ({"email": "a\x1b[2J"}, "00u1"),
        ({"email": "ada\ufeff@example.com"}, "00u1"),
        ({"email": " ada@example.com"}, "00u1"),
        ({"email": "ada@example.com\t"}, "00u1"),
        ({"email": "ada@example.com\u00a0"}, "00u1"),
        ({"email": " "}, "00u1"),
        ({"email": ""}, "00u1"),
        ({"email": None}, "00u1"),
        ({"email": ["ada"]}, "00u1"),
        ({"email": {"ada": 1}}, "00u1"),
        ({"email": 7}, "00u1"),
    ],
)
def test_what_somebody_is_called(changes, name):
    """By an e-mail address that is theirs, or else by the subject, which the issuer gives to nobody else."""
    assert settings().identity({**ADA, **changes}).name == name


def test_the_claim_of_names():
    """Can be chosen; without it the subject counts, and no e-mail address."""
    assert settings(name_claim="login").identity({**ADA, "login": "ada"}).name == "ada"
    assert settings(name_claim="own.login").identity({**ADA, "own": {"login": "ada"}}).name == "ada"
    assert settings(name_claim="login").identity(ADA).name == "00u1"
    assert settings(name_claim="login").identity({**ADA, "login": 7}).name == "00u1"


@pytest.mark.parametrize(
    "subject",
    [
        "",
        " ",
        "\t",
        "\u00a0",
        "\u2003",
        " 00u1",
        "00u1 ",
        "a\nb",
        "a\x00",
        "a\ud800",
        None,
        7,
        True,
        [],
        ["00u1"],
        {},
    ],
)
def test_a_token_without_a_subject_names_no_user(subject):
    """Missing, blank, no text, or none that can be shown as it is: whoever brings it is refused."""
    claims = {"sub": subject, "roles": ["admin"]}
    with pytest.raises(ForbiddenError, match="the token names no user: its sub is missing"):
        settings().identity(claims)
    with pytest.raises(ForbiddenError, match="the token names no user: its sub is missing"):
        settings(name_claim="login").identity({**claims, "login": subject, "email": "ada@example.com"})


def test_without_any_subject():
    """The token of a client rather than a person, say."""
    with pytest.raises(ForbiddenError, match="the token names no user"):
        settings().identity({"roles": ["admin"]})


def test_long_subjects_are_shortened_and_stay_apart():
    """100 characters are kept; of longer ones that begin alike each is another user, always the same."""
    whole = "a" * 100
    first, second = ("a" * 100 + end for end in "bc")
    names = [settings().identity({"sub": sub, "roles": ["viewer"]}).name for sub in (whole, first, second, first)]
    assert names[0] == whole
    assert [len(name) for name in names] == [100] * 4
    assert len(set(names)) == 3
    assert names[1] == names[3]
    assert names[1].startswith("a" * 83 + "-")


@pytest.mark.parametrize(
    ("held", "role"),
    [
        (["viewer"], Role.VIEWER),
        (["developer"], Role.DEVELOPER),
        (["admin"], Role.ADMIN),
        (["viewer", "developer"], Role.DEVELOPER),
        (["developer", "admin"], Role.ADMIN),
        ("viewer  developer", Role.DEVELOPER),
        (["developer", 7, None, ["admin"]], Role.DEVELOPER),
    ],
)
def test_a_role_is_named_as_it_is(held, role):
    """By default; the highest counts, and what is no text is passed over."""
    found = settings().identity({**ADA, "roles": held})
    assert (found.role, found.via) == (role, Via.OIDC)


@pytest.mark.parametrize("held", [["Admin"], ["administrator"], "admin,developer", ["admin developer"], ["*"]])
def test_what_is_only_like_a_role_is_none(held):
    """Neither other letters, nor several in one, nor the word that stands for everybody."""
    with pytest.raises(ForbiddenError, match="has no role here"):
        settings().identity({**ADA, "roles": held})
