"""The keys that sign tokens, and when they change.

Invariant: pure. A new key begins to sign only when every edge has had time to receive it. It signs until the next
key begins, and is kept until the last token that it may have signed has expired. So a valid token stays valid when
keys change.
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
"""Time between the creation of a key and its first signature. Connected edges receive the key within a second;
edges that are disconnected for longer accept tokens of the old keys only."""

PERIOD: Final = timedelta(days=1)
"""Time during which a key signs."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key that signs tokens.

    Args:
        name: The key id in tokens (`kid`).
        begins: When it begins to sign.
        seed: The private key: 32 bytes (RFC 8032, section 5.1.5).
    """

    name: str
    begins: datetime
    seed: bytes

    @property
    def private(self) -> Ed25519PrivateKey:
        """The private key."""
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @property
    def public(self) -> PublicKey:
        """The public key, for edges."""
        point = self.private.public_key().public_bytes_raw()
        return PublicKey(self.name, urlsafe_b64encode(point).rstrip(b"=").decode())


@dataclass(frozen=True, slots=True)
class Times:
    """When keys change.

    Args:
        period: Time during which a key signs.
        ahead: Time between the creation of a key and its first signature.
    """

    period: timedelta = PERIOD
    ahead: timedelta = AHEAD


def new_key(keys: Iterable[Key], now: datetime, times: Times) -> Key | None:
    """Return a new key if one is due; None otherwise.

    Args:
        keys: The existing keys.
        now: The current time.
        times: When keys change.
    """
    newest = max((key.begins for key in keys), default=None)
    if newest is not None and now < newest + times.period - times.ahead:
        return None
    # The very first key begins at once: until then no token could be signed.
    begins = now if newest is None else now + times.ahead
    private = Ed25519PrivateKey.generate()
    name = urlsafe_b64encode(private.public_key().public_bytes_raw()[:9]).decode()
    return Key(name, begins, private.private_bytes_raw())


def signing(keys: Iterable[Key], now: datetime) -> Key:
    """Return the key that signs at this moment, or the first to begin if none has begun.

    A server whose clock is behind sees the very first key before it begins.

    Raises:
        ValueError: `keys` is empty.
    """
    by_age = _by_age(keys)
    if not by_age:
        raise ValueError("no key to sign with exists")
    begun = [key for key in by_age if key.begins <= now]
    return begun[-1] if begun else by_age[0]


def needed(keys: Iterable[Key], now: datetime) -> Sequence[Key]:
    """Return the keys that valid tokens may be signed with, now or later, oldest first."""
    by_age = _by_age(keys)
    # A key is over once its successor has signed for the maximum life of a token, by the clock of any edge.
    over = {key for key, following in pairwise(by_age) if following.begins + LIFE_MAX + 2 * SKEW_MAX <= now}
    return [key for key in by_age if key not in over]


def _by_age(keys: Iterable[Key]) -> list[Key]:
    return sorted(keys, key=lambda key: (key.begins, key.name))
