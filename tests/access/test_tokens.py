"""API tokens, on both kinds of database."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from sqlalchemy import select

from detour.access import Identity, NoTokenError, Role, TokenStore, Via
from detour.access.tokens import id_of
from detour.database import ChangeLog
from detour.database.tables import api_tokens

ADA = Identity("ada", Role.DEVELOPER, Via.TOKEN)
NOW = datetime.now(UTC)


def test_only_a_hash_is_kept(database):
    """Nothing in the database lets anybody in; the log names the token by its id."""
    made, token = TokenStore(database).create("ci", ADA, None, "root")
    with database.reading() as connection:
        (row,) = connection.execute(select(api_tokens)).all()
    secret = token.rpartition("_")[2]
    assert not any(secret in str(value) for value in row)
    assert row.digest == sha256(token.encode()).hexdigest()
    (change,) = ChangeLog(database).before(None, 10)
    assert (change.who, change.action, change.kind, change.subject) == ("root", "created", "token", made.id)


def test_a_token_admits_its_owner(database):
    """Until its time is over; another token with its id does not."""
    store = TokenStore(database)
    made, token = store.create("ci", ADA, NOW + timedelta(hours=1), "root")
    assert store.all() == [made]
    assert made.identity == ADA
    assert made.admits(token, NOW)
    assert not made.admits(token, NOW + timedelta(hours=1))
    assert not made.admits(token[:-1] + ("0" if token[-1] != "0" else "1"), NOW)


def test_a_removed_token_is_none(database):
    """Removing it twice is a mistake that is told."""
    store = TokenStore(database)
    made, _ = store.create("ci", ADA, None, "root")
    store.remove(made.id, "root")
    assert store.all() == []
    with pytest.raises(NoTokenError, match=f"there is no token {made.id}"):
        store.remove(made.id, "root")


@pytest.mark.parametrize(
    "text", ["", "detour_", "detour_abc_def", "ghp_0123", "detour_" + "0" * 12 + "_" + "0" * 63]
)
def test_what_is_no_token(text):
    """Has no id."""
    assert id_of(text) is None
