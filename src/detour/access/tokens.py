"""API tokens. The database stores only their hashes.

A token consists of `detour_`, a public id, `_`, and a secret of 256 random bits. Such a secret cannot be guessed,
so plain SHA-256 is a sufficient hash; slow hashes are for passwords that people choose.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest
from typing import Final

from sqlalchemy import Row, delete, insert, select

from detour.access.identity import Identity, Role, Via
from detour.database import Database
from detour.database.log import lock, note
from detour.database.tables import api_tokens

PREFIX: Final = "detour_"
"""Prefix of every token, so that secret scanners recognize a leaked one."""

_TOKEN = re.compile(r"detour_(?P<id>[0-9a-f]{12})_(?P<secret>[0-9a-f]{64})", re.ASCII)
_HALF_ID_BITS: Final = 6


class NoTokenError(LookupError):
    """No API token has that id."""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """An API token, as stored.

    Args:
        id: The public part of the token.
        name: Its purpose, as free text.
        owner: The user this token acts as.
        role: Its permissions.
        digest: SHA-256 of the whole token, in hexadecimal.
        created: When it was created (timezone-aware).
        expires: When it expires (timezone-aware); None for never.
    """

    id: str
    name: str
    owner: str
    role: Role
    digest: str
    created: datetime
    expires: datetime | None

    def admits(self, token: str, now: datetime) -> bool:
        """Return whether a text is this token, and the token has not expired."""
        is_over = self.expires is not None and self.expires <= now
        return compare_digest(self.digest, _digest(token)) and not is_over

    @property
    def identity(self) -> Identity:
        """The user this token acts as, with its role."""
        return Identity(self.owner, self.role, Via.TOKEN)


def id_of(token: str) -> str | None:
    """Return the id of a token; None if the text is not a token."""
    match = _TOKEN.fullmatch(token)
    return match["id"] if match else None


class TokenStore:
    """The API tokens of a database.

    Methods block; any thread may call them.

    Raises:
        StorageError: From any method: the database does not answer, or refuses.
    """

    KIND: Final = "token"
    """The kind of a token in the log of changes; the subject is the token's id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, owner: Identity, expires: datetime | None, by: str) -> tuple[ApiToken, str]:
        """Create a token; return its stored part, and its text, which is not stored.

        Args:
            name: Its purpose, as free text.
            owner: The user and the role that the token acts with.
            expires: When it expires (timezone-aware); None for never.
            by: The user who requests it.
        """
        id_ = secrets.token_hex(_HALF_ID_BITS)
        token = f"{PREFIX}{id_}_{secrets.token_hex(32)}"
        made = ApiToken(id_, name, owner.name, owner.role, _digest(token), datetime.now(UTC), expires)
        with self._database.writing() as connection:
            connection.execute(insert(api_tokens).values(asdict(made)))
            note(connection, by, "created", self.KIND, subject=id_)
        return made, token

    def remove(self, id_: str, by: str) -> None:
        """Remove a token, so that it is invalid.

        Raises:
            NoTokenError: No token has that id.
        """
        with self._database.writing() as connection:
            lock(connection)
            if not connection.execute(delete(api_tokens).where(api_tokens.c.id == id_)).rowcount:
                raise NoTokenError(f"token {id_} does not exist")
            note(connection, by, "removed", self.KIND, subject=id_)

    def all(self) -> Sequence[ApiToken]:
        """Return all tokens, oldest first."""
        query = select(api_tokens).order_by(api_tokens.c.created, api_tokens.c.id)
        with self._database.reading() as connection:
            return [_token(row) for row in connection.execute(query)]


def _token(row: Row[tuple[object, ...]]) -> ApiToken:
    values = row._asdict()
    return ApiToken(**{**values, "role": Role(values["role"])})


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
