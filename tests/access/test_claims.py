"""The name and the role that a token's claims give its user."""

import pytest

from detour.access import ForbiddenError, Identity, IssuerSettings, Role, Via

ADA = {"sub": "00u1", "email": "ada@example.com", "roles": ["developer"]}


def settings(**changes: object) -> IssuerSettings:
    """Return the settings of an issuer."""
    return IssuerSettings("https://accounts.example.com", "detour", **changes)


def test_the_highest_role_applies():
    """Of several roles; unknown values are ignored."""
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
def test_forms_of_the_role_claim(claim, claims):
    """A list or words, nested in other claims, or in a claim whose name has dots."""
    assert settings(role_claim=claim).identity({"sub": "1", **claims}).role is Role.DEVELOPER


def test_configured_role_values():
    """Roles can be granted to groups of a company, or to every user of the issuer."""
    known = {Role.ADMIN: frozenset({"platform"}), Role.VIEWER: frozenset({"*"})}
    roles = {"platform": Role.ADMIN, "admin": Role.VIEWER, "": Role.VIEWER}
    for group, role in roles.items():
        assert settings(roles=known).identity({**ADA, "roles": [group]}).role is role


@pytest.mark.parametrize("roles", [None, [], ["cook"], {"admin": True}, 7, [["admin"]]])
def test_users_without_a_role_are_refused(roles):
    """The message names the claim and the expected values."""
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
def test_the_name_of_a_user(changes, name):
    """A verified e-mail address, or else the subject, which is unique at the issuer."""
    assert settings().identity({**ADA, **changes}).name == name


def test_the_name_claim_can_be_configured():
    """Without that claim, the subject is used, and the e-mail address is not."""
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
    """Missing, blank, not text, or text that cannot be shown unchanged: the caller is refused."""
    claims = {"sub": subject, "roles": ["admin"]}
    with pytest.raises(ForbiddenError, match="the token does not name a user: its sub is missing"):
        settings().identity(claims)
    with pytest.raises(ForbiddenError, match="the token does not name a user: its sub is missing"):
        settings(name_claim="login").identity({**claims, "login": subject, "email": "ada@example.com"})


def test_without_any_subject():
    """The token of a client rather than a person, say."""
    with pytest.raises(ForbiddenError, match="the token does not name a user"):
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
    """By default; the highest role applies, and values that are not text are ignored."""
    found = settings().identity({**ADA, "roles": held})
    assert (found.role, found.via) == (role, Via.OIDC)


@pytest.mark.parametrize("held", [["Admin"], ["administrator"], "admin,developer", ["admin developer"], ["*"]])
def test_what_is_only_like_a_role_is_none(held):
    """Other letters, several roles in one value, and the value for all users are not roles."""
    with pytest.raises(ForbiddenError, match="has no role here"):
        settings().identity({**ADA, "roles": held})


def test_the_defaults_of_an_issuer():
    """What `detour serve` has where nobody chooses otherwise; `docs/access.md` names it."""
    made = IssuerSettings("https://accounts.example.com", "detour")
    assert (made.role_claim, made.name_claim, made.scopes) == ("roles", "", "openid profile email")
    assert made.roles == {role: frozenset({role.value}) for role in (Role.VIEWER, Role.DEVELOPER, Role.ADMIN)}


@pytest.mark.parametrize("inside", ["admin", ["admin"], 7, None, {"roles": None}, {"other": ["admin"]}])
def test_a_path_that_leads_nowhere_gives_no_role(inside):
    """The claim on the way may have any form."""
    with pytest.raises(ForbiddenError, match=r"realm_access\.roles has none of"):
        settings(role_claim="realm_access.roles").identity({**ADA, "realm_access": inside})
