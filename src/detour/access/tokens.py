"""API tokens, of which only the hash is stored.

A token is `detour_`, an id by which it is known, `_` and a secret of 256 random bits. Guessing that is hopeless, so
a plain SHA-256 is enough of a hash; a slow one is for what people think of.
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
"""What every token begins with, so that scanners for secrets find one that has got out."""

_TOKEN = re.compile(r"detour_(?P<id>[0-9a-f]{12})_(?P<secret>[0-9a-f]{64})", re.ASCII)
_HALF_ID_BITS: Final = 6


class NoTokenError(LookupError):
    """There is no API token of that id."""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What is kept of a token.

    Args:
        id: By which it is known; no secret.
        name: What it is for, in any words.
        owner: As whom who brings it acts.
        role: What it allows.
        digest: SHA-256 of the whole token, in hexadecimal.
        created: When it was made (timezone-aware).
        expires: When it stops being one; never if there is no such moment.
    """

    id: str
    name: str
    owner: str
    role: Role
    digest: str
    created: datetime
    expires: datetime | None

    def admits(self, token: str, now: datetime) -> bool:
        """Say whether this is that token, and it still counts."""
        is_over = self.expires is not None and self.expires <= now
        return compare_digest(self.digest, _digest(token)) and not is_over

    @property
    def identity(self) -> Identity:
        """Who brings it."""
        return Identity(self.owner, self.role, Via.TOKEN)


def id_of(token: str) -> str | None:
    """Return the id of a token; None if the text is none."""
    match = _TOKEN.fullmatch(token)
    return match["id"] if match else None


class TokenStore:
    """The API tokens of a database.

    Methods block; any thread may call them.

    Raises:
        OSError: From any method: the database does not answer, or refuses.
    """

    KIND: Final = "token"
    """What the log of changes calls one; its subject is the token's id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, owner: Identity, expires: datetime | None, by: str) -> tuple[ApiToken, str]:
        """Make a token; return what is kept of it, and the token, which cannot be found out later.

        Args:
            name: What it is for.
            owner: Whose name and role who brings it has.
            expires: Until when it counts (timezone-aware); None for ever.
            by: Who asks.
        """
        id_ = secrets.token_hex(_HALF_ID_BITS)
        token = f"{PREFIX}{id_}_{secrets.token_hex(32)}"
        made = ApiToken(id_, name, owner.name, owner.role, _digest(token), datetime.now(UTC), expires)
        with self._database.writing() as connection:
            connection.execute(insert(api_tokens).values(asdict(made)))
            note(connection, by, "created", self.KIND, subject=id_)
        return made, token

    def remove(self, id_: str, by: str) -> None:
        """Make a token invalid.

        Raises:
            NoTokenError: There is no such token.
        """
        with self._database.writing() as connection:
            lock(connection)
            if not connection.execute(delete(api_tokens).where(api_tokens.c.id == id_)).rowcount:
                raise NoTokenError(f"there is no token {id_}")
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
