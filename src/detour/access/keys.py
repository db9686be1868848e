"""The keys that tokens are signed with, and their times.

Invariant: pure. A key begins to sign some time after it was made, when every edge has it; it signs until the next
one begins, and is kept until the last token that it can have signed has expired. So no good token stops being good
because keys change.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detour.mesh import PublicKey
from detour.mesh.override_tokens import LIFE_MAX, SKEW_MAX

AHEAD: Final = timedelta(minutes=10)
"""How long before it begins to sign a key is made. Edges that are connected have it within a second; those that are
not, for longer than this, take tokens of the old keys only."""

PERIOD: Final = timedelta(days=1)
"""How long a key signs."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key that signs tokens.

    Args:
        name: What tokens call it.
        begins: From when on it signs.
        seed: The private key: 32 bytes (RFC 8032, section 5.1.5).
    """

    name: str
    begins: datetime
    seed: bytes

    @property
    def private(self) -> Ed25519PrivateKey:
        """The key as it signs."""
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @property
    def public(self) -> PublicKey:
        """What edges need of it."""
        point = self.private.public_key().public_bytes_raw()
        return PublicKey(self.name, urlsafe_b64encode(point).rstrip(b"=").decode())


@dataclass(frozen=True, slots=True)
class Times:
    """When keys change.

    Args:
        period: How long a key signs.
        ahead: How long before that it is made.
    """

    period: timedelta = PERIOD
    ahead: timedelta = AHEAD


def new_key(keys: Iterable[Key], now: datetime, times: Times) -> Key | None:
    """Return the key that has to be made at this moment; None if there is no need.

    Args:
        keys: Those that there are.
        now: The moment.
        times: When keys change.
    """
    newest = max((key.begins for key in keys), default=None)
    if newest is not None and now < newest + times.period - times.ahead:
        return None
    # There is nothing to go on with until the first one of all begins.
    begins = now if newest is None else now + times.ahead
    private = Ed25519PrivateKey.generate()
    name = urlsafe_b64encode(private.public_key().public_bytes_raw()[:9]).decode()
    return Key(name, begins, private.private_bytes_raw())


def signing(keys: Iterable[Key], now: datetime) -> Key:
    """Return the key that signs at this moment; of keys that have all yet to begin, the one that is first to.

    That is how the first of all keys looks to a server whose clock is behind.

    Raises:
        ValueError: There are no keys.
    """
    by_age = _by_age(keys)
    if not by_age:
        raise ValueError("there is no key to sign with")
    begun = [key for key in by_age if key.begins <= now]
    return begun[-1] if begun else by_age[0]


def needed(keys: Iterable[Key], now: datetime) -> Sequence[Key]:
    """Return the keys of which there may be tokens, at this moment or later, oldest first."""
    by_age = _by_age(keys)
    # One is done with when another has been signing for as long as a token lives, by the clock of any edge.
    over = {key for key, following in pairwise(by_age) if following.begins + LIFE_MAX + 2 * SKEW_MAX <= now}
    return [key for key in by_age if key not in over]


def _by_age(keys: Iterable[Key]) -> list[Key]:
    return sorted(keys, key=lambda key: (key.begins, key.name))
