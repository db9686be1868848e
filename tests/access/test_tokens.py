"""API tokens, on both kinds of database."""

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from sqlalchemy import insert, select

from detour.access import Identity, NoTokenError, Role, TokenStore, Via
from detour.access.tokens import id_of
from detour.database import ChangeLog
from detour.database.tables import api_tokens

ADA = Identity("ada", Role.DEVELOPER, Via.TOKEN)
NOW = datetime.now(UTC)


def test_only_a_hash_is_stored(database):
    """The database does not contain the secret; the log names the token by its id."""
    made, token = TokenStore(database).create("ci", ADA, None, "root")
    with database.reading() as connection:
        (row,) = connection.execute(select(api_tokens)).all()
    secret = token.rpartition("_")[2]
    assert not any(secret in str(value) for value in row)
    assert row.digest == sha256(token.encode()).hexdigest()
    (change,) = ChangeLog(database).before(None, 10)
    assert (change.who, change.action, change.kind, change.subject) == ("root", "created", "token", made.id)


def test_a_token_admits_its_owner(database):
    """Until it expires; a token with the same id and another secret is refused."""
    store = TokenStore(database)
    made, token = store.create("ci", ADA, NOW + timedelta(hours=1), "root")
    assert store.all() == [made]
    assert made.identity == ADA
    assert made.admits(token, NOW)
    assert not made.admits(token, NOW + timedelta(hours=1))
    assert not made.admits(token[:-1] + ("0" if token[-1] != "0" else "1"), NOW)


def test_the_format_of_tokens(database):
    """A prefix for secret scanners, a public id, and a secret of 256 bits; every token is different."""
    made = [TokenStore(database).create("ci", ADA, None, "root") for _ in range(2)]
    for kept, token in made:
        assert re.fullmatch(r"detour_[0-9a-f]{12}_[0-9a-f]{64}", token)
        assert id_of(token) == kept.id == token[7:19]
    assert made[0][0].id != made[1][0].id
    assert made[0][1][-64:] != made[1][1][-64:]


def test_tokens_are_stored_unchanged(database):
    """Field by field. One without an expiry is valid for ever, and tokens are listed oldest first."""
    store, before = TokenStore(database), datetime.now(UTC)
    roles = [Role.VIEWER, Role.DEVELOPER, Role.ADMIN]
    made = [store.create(f"for {role}", Identity("ada", role, Via.TOKEN), None, "root")[0] for role in roles]
    assert store.all() == made
    assert {type(one.role) for one in store.all()} == {Role}
    assert [(one.name, one.owner, one.role) for one in made] == [(f"for {role}", "ada", role) for role in roles]
    assert before <= made[0].created <= made[1].created <= made[2].created <= datetime.now(UTC)
    kept, token = store.create("ever", ADA, None, "root")
    assert kept.expires is None
    assert kept.admits(token, NOW + timedelta(days=36_500))
    assert not kept.admits("", NOW)


def test_a_removed_token(database):
    """It is no longer listed, others stay, and the log says who removed it. Removing it twice is an error."""
    store = TokenStore(database)
    made, _ = store.create("ci", ADA, None, "root")
    other, _ = store.create("cd", ADA, None, "root")
    store.remove(made.id, "bo")
    assert store.all() == [other]
    change = ChangeLog(database).before(None, 1)[0]
    assert (change.who, change.action, change.kind, change.subject) == ("bo", "removed", "token", made.id)
    with pytest.raises(NoTokenError, match=rf"^token {made.id} does not exist$"):
        store.remove(made.id, "root")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "detour_",
        "detour_abc_def",
        "ghp_0123",
        "detour_" + "0" * 12 + "_" + "0" * 63,
        "detour_" + "0" * 12 + "_" + "0" * 65,
        "detour_" + "0" * 11 + "_" + "0" * 64,
        "detour_" + "0" * 13 + "_" + "0" * 64,
        "detour_" + "0" * 12 + "_" + "0" * 63 + "A",
        "detour_" + "0" * 12 + "_" + "0" * 63 + "\u0663",
        "detour_" + "0" * 12 + "_" + "0" * 64 + "\n",
        " detour_" + "0" * 12 + "_" + "0" * 64,
    ],
)
def test_other_texts_are_not_tokens(text):
    """They have no id."""
    assert id_of(text) is None


def test_tokens_of_one_moment(database):
    """Are listed by their ids."""
    values = {"name": "ci", "owner": "ada", "role": "viewer", "digest": "", "created": NOW, "expires": None}
    with database.writing() as connection:
        for id_ in ("b", "c", "a"):
            connection.execute(insert(api_tokens).values(id=id_ * 12, **values))
    assert [one.id[0] for one in TokenStore(database).all()] == ["a", "b", "c"]
