"""Override tokens: their keys in a database, and their signatures.

Invariant: when a key is due, exactly one of the servers that share a database creates it. The others learn about it
from the log of changes.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Final

import jwt
from sqlalchemy import Connection, delete, insert, select

from detour.access.keys import Key, Times, needed, new_key, signing
from detour.database import Database
from detour.database.log import lock, note
from detour.database.tables import signing_keys
from detour.mesh import PublicKey
from detour.mesh.override_tokens import AUDIENCE, HEADER, ISSUER, LIFE_MAX, SKEW_MAX
from detour.overrides import Overrides, append_to_baggage

LIFE: Final = timedelta(minutes=15)
"""Default life of a token."""

_SERVER: Final = "detour"
"""The author of changes of keys, in the log of changes."""


class KeyStore:
    """The keys of a database.

    Methods block; any thread may call them.

    Args:
        database: The database.
        times: When keys change.

    Raises:
        StorageError: From any method: the database does not answer, or refuses.
    """

    KIND: Final = "key"
    """The kind of a key in the log of changes."""

    def __init__(self, database: Database, times: Times | None = None) -> None:
        self._database = database
        self._times = times or Times()

    def all(self) -> Sequence[Key]:
        """Return all keys, oldest first."""
        with self._database.reading() as connection:
            return _all(connection)

    def renew(self, now: datetime) -> Sequence[Key]:
        """Create a key if one is due, remove keys that are no longer needed, and return the remaining ones."""
        keys = self.all()
        # Nearly always nothing is due, so no call waits for a writer.
        if len(needed(keys, now)) == len(keys) and new_key(keys, now, self._times) is None:
            return keys
        with self._database.writing() as connection:
            lock(connection)
            keys = _all(connection)
            kept = {key.name for key in needed(keys, now)}
            for key in keys:
                if key.name not in kept:
                    connection.execute(delete(signing_keys).where(signing_keys.c.name == key.name))
                    note(connection, _SERVER, "removed", self.KIND, subject=key.name)
            if made := new_key(keys, now, self._times):
                row = {one.name: getattr(made, one.name) for one in fields(made)}
                connection.execute(insert(signing_keys).values(row))
                note(connection, _SERVER, "created", self.KIND, subject=made.name)
            return _all(connection)


def _all(connection: Connection) -> Sequence[Key]:
    query = select(signing_keys).order_by(signing_keys.c.begins, signing_keys.c.name)
    return [Key(**row._asdict()) for row in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class OverrideToken:
    """A token that was issued.

    Args:
        text: The value of the header.
        expires: When it expires, in whole seconds.
    """

    text: str
    expires: datetime


class Signer:
    """Signs tokens with the keys in memory; it never blocks.

    Args:
        keys: The keys.
    """

    def __init__(self, keys: Iterable[Key]) -> None:
        self.replace(keys)

    def replace(self, keys: Iterable[Key]) -> None:
        """Replace the keys."""
        self._public = {key: key.public for key in keys}

    def public(self, now: datetime) -> tuple[PublicKey, ...]:
        """Return the keys with which edges check tokens at this moment."""
        return tuple(self._public[key] for key in needed(self._public, now))

    def token(self, caller: str, life: timedelta = LIFE) -> OverrideToken:
        """Issue a token (RFC 7519, section 4.1).

        Args:
            caller: The user who requests it.
            life: Until it expires, in whole seconds.

        Raises:
            ValueError: `life` is too long, or no key exists.
        """
        if not timedelta(0) < life <= LIFE_MAX:
            raise ValueError("a token is valid for at most 1h")
        key = signing(self._public, datetime.now(UTC))
        now = datetime.now(UTC).replace(microsecond=0)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": caller,
            "iat": now,
            # The edge's clock may be behind.
            "nbf": now - SKEW_MAX,
            "exp": now + life,
            "jti": uuid.uuid4().hex,
        }
        text = jwt.encode(claims, key.private, algorithm="EdDSA", headers={"kid": key.name})
        return OverrideToken(text, now + life)

    def headers_for(self, overrides: Overrides, caller: str, life: timedelta = LIFE) -> dict[str, str]:
        """Return the headers with which an edge accepts overrides from outside; the errors are those of `token`."""
        return {"baggage": append_to_baggage(None, overrides), HEADER: self.token(caller, life).text}
