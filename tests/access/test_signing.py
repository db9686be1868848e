"""The keys of override tokens in a database, and their signatures: on SQLite and on PostgreSQL."""

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from jwt.algorithms import OKPAlgorithm
from sqlalchemy import text

from databases import database, database_url, new_url, postgresql_server
from detour.access.keys import PERIOD, Key, Times
from detour.access.signing import KeyStore, Signer
from detour.database import ChangeLog, Database
from detour.database.log import lock
from detour.overrides import parse_words

__all__ = ["database", "database_url", "new_url", "postgresql_server"]

NOW = datetime(2026, 11, 28, 12, 0, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_keys_are_created_and_removed(database: Database) -> None:
    """The log of changes has each step; stored keys are equal to those created."""
    store = KeyStore(database)
    (first,) = store.renew(NOW)
    assert store.renew(NOW + HOUR) == [first]
    both = store.renew(NOW + PERIOD)
    assert (both[0], len(both)) == (first, 2)
    assert KeyStore(database).all() == both
    assert store.renew(NOW + PERIOD + 2 * HOUR) == [both[1]]
    logged = [(one.action, one.kind, one.subject) for one in ChangeLog(database).since(0, 10)]
    assert logged == [
        ("created", "key", first.name),
        ("created", "key", both[1].name),
        ("removed", "key", first.name),
    ]


@pytest.mark.parametrize("moment", [NOW, NOW + PERIOD], ids=["the first key", "the next one"])
def test_only_one_server_creates_a_key(database: Database, database_url: str, moment: datetime) -> None:
    """All servers find a key due before any of them creates it; the others then find the created one."""
    if moment != NOW:
        KeyStore(database).renew(NOW)
    found: list[Sequence[Key]] = []
    there = KeyStore(database).all()
    with ExitStack() as opened:
        servers = [KeyStore(opened.enter_context(Database(database_url))) for _ in range(4)]
        threads = [threading.Thread(target=lambda one=one: found.append(one.renew(moment))) for one in servers]
        with database.writing() as connection:
            lock(connection)
            for one in threads:
                one.start()
            # SQLite cannot say who waits; there, writers wait before they read anything.
            deadline = time.monotonic() + 20
            while database_url.startswith("postgresql") and _waiting(database) < len(threads):
                assert time.monotonic() < deadline, "servers went on although one was about to make a key"
                time.sleep(0.01)
        for one in threads:
            one.join(20)
    made = KeyStore(database).all()
    assert found == [made] * 4
    assert (len(made), made[: len(there)]) == (len(there) + 1, there)


def _waiting(database: Database) -> int:
    """Return how many connections to a database wait for a lock."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with database.reading() as connection:
        return int(connection.execute(query).scalar_one())


def test_a_token(database: Database) -> None:
    """It names its key, expires as requested, and the public key alone checks it."""
    now = datetime.now(UTC)
    signer = Signer(KeyStore(database).renew(now))
    (public,) = signer.public(now)
    key = OKPAlgorithm.from_jwk({"kty": "OKP", "crv": "Ed25519", "x": public.point})
    made = signer.token("ana", timedelta(minutes=5))
    claims = jwt.decode(made.text, key, algorithms=["EdDSA"], audience="detour-edge", issuer="detour")
    assert jwt.get_unverified_header(made.text)["kid"] == public.name
    assert (claims["sub"], claims["exp"] - claims["iat"]) == ("ana", 300)
    assert claims["nbf"] < claims["iat"]
    assert claims["exp"] == made.expires.timestamp()
    again = jwt.decode(signer.token("ana").text, options={"verify_signature": False})
    assert (again["exp"] - again["iat"], again["jti"] == claims["jti"]) == (15 * 60, False)
    with pytest.raises(ValueError, match="at most 1h"):
        signer.token("ana", timedelta(hours=2))


def test_headers_for_a_request(database: Database) -> None:
    """The overrides, and the token that makes an edge accept them."""
    signer = Signer(KeyStore(database).renew(datetime.now(UTC)))
    headers = signer.headers_for(parse_words(["users=pr-42"]), "ana")
    assert headers["baggage"] == "override.route.users=pr-42"
    assert headers["x-detour-token"].count(".") == 2


def test_the_life_of_a_token(database: Database) -> None:
    """Up to an hour, with the hour itself; the error says so."""
    signer = Signer(KeyStore(database).renew(datetime.now(UTC)))
    for life in (timedelta(seconds=1), timedelta(hours=1)):
        claims = jwt.decode(signer.token("ana", life).text, options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == life.total_seconds()
        assert claims["iat"] - claims["nbf"] == 30
    for life in (timedelta(0), timedelta(seconds=-1), timedelta(hours=1, microseconds=1)):
        with pytest.raises(ValueError) as raised:
            signer.token("ana", life)
        assert str(raised.value) == "a token is valid for at most 1h"
    headers = signer.headers_for(parse_words(["users=pr-42"]), "bo", timedelta(minutes=2))
    claims = jwt.decode(headers["x-detour-token"], options={"verify_signature": False})
    assert (claims["sub"], claims["exp"] - claims["iat"]) == ("bo", 120)
    assert set(headers) == {"baggage", "x-detour-token"}


def test_a_signer_with_other_keys() -> None:
    """They replace those before; edges get only the keys that are still needed, oldest first."""
    now = datetime.now(UTC)
    old, first, second = (
        Key(name, now + days * PERIOD, bytes([days + 9] * 32)) for name, days in (("o", -9), ("a", -1), ("b", 0))
    )
    signer = Signer([second, old, first])
    assert [key.name for key in signer.public(now)] == ["a", "b"]
    assert jwt.get_unverified_header(signer.token("ana").text) == {"alg": "EdDSA", "kid": "b", "typ": "JWT"}
    signer.replace([first])
    assert signer.public(now) == (first.public,)
    assert jwt.get_unverified_header(signer.token("ana").text)["kid"] == "a"
    with pytest.raises(ValueError, match="no key to sign with exists"):
        Signer([]).token("ana")


def test_nothing_waits_while_no_key_is_due(database: Database, database_url: str) -> None:
    """Not even for a server that writes; the log names the server as the author of every change."""
    (first,) = KeyStore(database).renew(NOW)
    with Database(database_url) as other, database.writing() as connection:
        lock(connection)
        assert KeyStore(other).renew(NOW + HOUR) == [first]
    KeyStore(database).renew(NOW + PERIOD)
    KeyStore(database).renew(NOW + PERIOD + 2 * HOUR)
    assert [one.who for one in ChangeLog(database).since(0, 10)] == ["detour"] * 3


def test_the_times_of_keys_can_be_chosen(database: Database) -> None:
    """By the server that creates them."""
    times = Times(period=HOUR, ahead=timedelta(minutes=1))
    KeyStore(database, times).renew(NOW)
    assert len(KeyStore(database, times).renew(NOW + timedelta(minutes=58))) == 1
    made = KeyStore(database, times).renew(NOW + timedelta(minutes=59))
    assert [key.begins for key in made] == [NOW, NOW + HOUR]
