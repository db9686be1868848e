"""Permissions of the operations on API tokens and override tokens, and what makes a token valid."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest

from detour.access import (
    ForbiddenError,
    Identity,
    Issuer,
    IssuerSettings,
    NoTokenError,
    Requester,
    Role,
    UnknownCallerError,
    Via,
)
from detour.database import ChangeLog, Database
from detour.server.followed_database import FollowedDatabase, NoDatabaseError
from detour.server.identities import Identities, TokenBook
from detour.server.keyring import KeyRing
from detour.server.tokens import OverrideTokenOperations, TokenOperations

VIC = Identity("vic", Role.VIEWER, Via.OIDC)
ADA = Identity("ada", Role.DEVELOPER, Via.OIDC)
BO = Identity("bo", Role.DEVELOPER, Via.TOKEN)
ROOT = Identity("root", Role.ADMIN, Via.LOCAL)
LATER = datetime(2030, 1, 31, 12, 30, tzinfo=UTC)


@pytest.fixture
def book(database: Database) -> TokenBook:
    """Return the API tokens of an empty database."""
    return TokenBook(FollowedDatabase(database))


@pytest.fixture
def operations(book: TokenBook) -> TokenOperations:
    """Return the operations on them."""
    return TokenOperations(book)


async def test_a_token_is_created_for_its_caller(operations: TokenOperations, book: TokenBook) -> None:
    """Unless an admin names another owner; the log names the caller."""
    first, text = await operations.create(ADA, "ci", Role.VIEWER, None, LATER)
    assert (first.name, first.owner, first.role, first.expires) == ("ci", "ada", Role.VIEWER, LATER)
    assert book.identity(text) == Identity("ada", Role.VIEWER, Via.TOKEN)
    second, text = await operations.create(ROOT, "cd", Role.DEVELOPER, "bo", None)
    assert (second.name, second.owner, second.role, second.expires) == ("cd", "bo", Role.DEVELOPER, None)
    assert book.identity(text) == Identity("bo", Role.DEVELOPER, Via.TOKEN)
    changes = ChangeLog(book.database.database).since(0, 10)
    assert [(one.who, one.action, one.subject) for one in changes] == [
        ("ada", "created", first.id),
        ("root", "created", second.id),
    ]


@pytest.mark.parametrize(
    ("caller", "role", "owner", "why"),
    [
        (VIC, Role.VIEWER, None, "this needs the role developer, and vic has the role viewer"),
        (VIC, Role.VIEWER, "vic", "this needs the role developer, and vic has the role viewer"),
        (ADA, Role.ADMIN, None, "this needs the role admin, and ada has the role developer"),
        (ADA, Role.VIEWER, "bo", "that name belongs to bo: only bo or an admin may do that"),
    ],
)
async def test_a_token_is_not_created(  # noqa: PLR0917
    operations: TokenOperations, book: TokenBook, caller: Identity, role: Role, owner: str | None, why: str
) -> None:
    """By viewers, with a higher role than the caller's, or for another user."""
    with pytest.raises(ForbiddenError, match=why):
        await operations.create(caller, "ci", role, owner, None)
    assert book.rows == {}


async def test_a_token_may_have_the_role_of_its_caller(operations: TokenOperations) -> None:
    """Or a lower one."""
    for caller, role in ((ADA, Role.DEVELOPER), (ROOT, Role.ADMIN), (ROOT, Role.VIEWER)):
        made, _ = await operations.create(caller, "ci", role, caller.name, None)
        assert (made.owner, made.role) == (caller.name, role)


async def test_users_see_their_own_tokens(operations: TokenOperations) -> None:
    """Admins see all of them, oldest first."""
    made = [
        (await operations.create(owner, name, Role.VIEWER, None, None))[0]
        for owner, name in ((ADA, "a"), (BO, "b"), (ADA, "c"))
    ]
    assert operations.list(ADA) == [made[0], made[2]]
    assert operations.list(BO) == [made[1]]
    assert operations.list(VIC) == []
    assert operations.list(ROOT) == made


async def test_users_remove_their_own_tokens(operations: TokenOperations, book: TokenBook) -> None:
    """Admins remove any; viewers none, not even their own."""
    of_ada, text = await operations.create(ADA, "a", Role.VIEWER, None, None)
    of_bo, _ = await operations.create(BO, "b", Role.VIEWER, None, None)
    of_vic, _ = await operations.create(ROOT, "c", Role.VIEWER, "vic", None)
    with pytest.raises(ForbiddenError, match=f"token {of_bo.id} belongs to bo: only bo or an admin may do that"):
        await operations.remove(ADA, of_bo.id)
    with pytest.raises(ForbiddenError, match="this needs the role developer, and vic has the role viewer"):
        await operations.remove(VIC, of_vic.id)
    with pytest.raises(NoTokenError, match="token 000000000000 does not exist"):
        await operations.remove(ROOT, "0" * 12)
    assert len(book.rows) == 3
    await operations.remove(ADA, of_ada.id)
    await operations.remove(ROOT, of_vic.id)
    assert operations.list(ROOT) == [of_bo]
    with pytest.raises(UnknownCallerError):
        book.identity(text)
    changes = ChangeLog(book.database.database).before(None, 2)
    assert [(one.who, one.action, one.subject) for one in changes] == [
        ("root", "removed", of_vic.id),
        ("ada", "removed", of_ada.id),
    ]


async def test_without_a_database_there_are_no_operations() -> None:
    """The error says what is missing, after the permissions are checked."""
    tokens, overrides = TokenOperations(None), OverrideTokenOperations(None)
    missing = "this server has no database: start it with detour serve --database URL"
    with pytest.raises(NoDatabaseError, match=missing):
        tokens.list(ADA)
    with pytest.raises(NoDatabaseError, match=missing):
        await tokens.create(ADA, "ci", Role.VIEWER, None, None)
    with pytest.raises(NoDatabaseError, match=missing):
        await tokens.remove(ADA, "0" * 12)
    with pytest.raises(NoDatabaseError, match=missing):
        overrides.issue(ADA, timedelta(minutes=1))
    for refused in (tokens.create(VIC, "ci", Role.VIEWER, None, None), tokens.remove(VIC, "0" * 12)):
        with pytest.raises(ForbiddenError):
            await refused


async def test_override_tokens(database: Database) -> None:
    """Name the developer who requests them, and expire as requested; viewers get none."""
    operations = OverrideTokenOperations(KeyRing(FollowedDatabase(database)))
    made = operations.issue(ADA, timedelta(minutes=7))
    claims = jwt.decode(made.text, options={"verify_signature": False})
    assert (claims["sub"], claims["exp"] - claims["iat"]) == ("ada", 420)
    with pytest.raises(ForbiddenError, match="this needs the role developer, and vic has the role viewer"):
        operations.issue(VIC, timedelta(minutes=7))
    with pytest.raises(ValueError, match="at most 1h"):
        operations.issue(ROOT, timedelta(minutes=61))


async def test_which_tokens_are_valid(book: TokenBook) -> None:
    """Those that were created and have not expired; two with the same beginning are different tokens."""
    now = datetime.now(UTC)
    made, text = await book.create("ci", ADA, now + timedelta(hours=1), "root")
    _, expired = await book.create("ci", BO, now, "root")
    other, also = await book.create("ci", BO, None, "root")
    assert book.identity(text) == Identity("ada", Role.DEVELOPER, Via.TOKEN)
    assert book.identity(also) == BO
    assert list(book.rows) == [one.id for one in book.rows.values()]
    assert made.id != other.id
    mixed = f"detour_{made.id}_{also.rpartition('_')[2]}"
    for wrong in (expired, mixed, "", "wrong", text[:-1], text.upper(), "detour_" + "0" * 12 + "_" + "0" * 64):
        with pytest.raises(UnknownCallerError) as raised:
            book.identity(wrong)
        assert str(raised.value) == (
            "this API token is invalid or expired: create one with detour token create, or sign in with"
            " detour login"
        )


HERE = Requester("127.0.0.1", "localhost", user="ana")
ELSEWHERE = Requester("10.0.0.7", "detour.test", user="ana")
OF_ANOTHER_SITE = Requester("127.0.0.1", "localhost", "https://evil.test", user="ana")
SIGN_IN = "sign in: detour login, or send Authorization: Bearer and a token"
ONLY_HERE = (
    "this server accepts requests without a token only from its own machine: connect from there, or through"
    " kubectl port-forward or ssh -L, and create a token for other machines with detour token create"
)


async def said(identities: Identities, requester: Requester) -> str:
    """Return the message with which a caller is refused."""
    with pytest.raises((UnknownCallerError, ForbiddenError)) as raised:
        await identities.identify(requester)
    return str(raised.value)


async def test_callers_without_a_token(book: TokenBook) -> None:
    """They have to be local, on a server without an issuer; the error says what else they can do."""
    with_tokens, empty = Identities(book), Identities()
    assert await said(with_tokens, ELSEWHERE) == ONLY_HERE
    await book.create("ci", ADA, None, "root")
    assert await said(with_tokens, ELSEWHERE) == SIGN_IN
    assert await said(empty, ELSEWHERE) == ONLY_HERE
    async with Issuer(IssuerSettings("https://accounts.example.test", "detour")) as issuer:
        with_issuer = Identities(issuer=issuer)
        assert [await said(with_issuer, one) for one in (HERE, ELSEWHERE)] == [SIGN_IN, SIGN_IN]
        assert with_issuer.accepts_without_token(HERE) is False
    for identities in (with_tokens, empty):
        assert await identities.identify(HERE) == Identity("ana", Role.ADMIN, Via.LOCAL)
        assert identities.accepts_without_token(HERE) is True
        assert identities.accepts_without_token(ELSEWHERE) is False


async def test_pages_of_other_sites(book: TokenBook) -> None:
    """May use the server only with a token, which no browser adds by itself."""
    _, text = await book.create("ci", ADA, None, "root")
    identities = Identities(book)
    assert await said(identities, OF_ANOTHER_SITE) == (
        "pages of https://evil.test may not use this server: omit Origin, or send the server's own"
    )
    sent = Requester("127.0.0.1", "localhost", "https://evil.test", authorization=f"Bearer {text}")
    assert await identities.identify(sent) == Identity("ada", Role.DEVELOPER, Via.TOKEN)


async def test_who_checks_a_token(book: TokenBook) -> None:
    """The issuer checks texts of three parts, if there is one; the database checks all others."""
    await book.create("ci", ADA, None, "root")

    def bearing(token: str) -> Requester:
        return Requester("127.0.0.1", "localhost", authorization=f"Bearer {token}")

    invalid = "this API token is invalid or expired"
    async with Issuer(IssuerSettings("https://accounts.example.test", "detour")) as issuer:
        both, only_issuer = Identities(book, issuer), Identities(issuer=issuer)
        for identities in (both, only_issuer):
            assert (await said(identities, bearing("a.b.c"))).startswith("the token is invalid: ")
        for token in ("a", "a.b", "a.b.c.d", ""):
            assert (await said(both, bearing(token))).startswith(invalid)
            assert await said(only_issuer, bearing(token)) == SIGN_IN
    assert (await said(Identities(book), bearing("a.b.c"))).startswith(invalid)
    assert await said(Identities(), bearing("a.b.c")) == ONLY_HERE
