"""The responses that a client has neither acknowledged nor rejected yet.

Invariant: bounded memory, even if a client never acknowledges anything. Past a number of responses, or of names in
them, the oldest responses are dropped as if they had been settled.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

RESPONSES_MAX: Final = 1000
NAMES_MAX: Final = 50_000


class Sent(NamedTuple):
    """The content of a response.

    Args:
        type_url: Its resource type.
        versions: Names to versions; "" for a resource that does not exist.
    """

    type_url: str
    versions: Mapping[str, str]


class InFlight:
    """Responses by nonce, oldest first."""

    def __init__(self, responses_max: int = RESPONSES_MAX, names_max: int = NAMES_MAX) -> None:
        self._responses_max = responses_max
        self._names_max = names_max
        self._sent: OrderedDict[str, Sent] = OrderedDict()
        self._names = 0
        self._last_nonce = 0

    def __len__(self) -> int:
        return len(self._sent)

    def next_nonce(self) -> str:
        """Return a nonce that this stream has not used yet."""
        self._last_nonce += 1
        return str(self._last_nonce)

    def add(self, nonce: str, sent: Sent) -> Iterator[Sent]:
        """Track a response until it is settled; yield the responses that are dropped to make room."""
        self._sent[nonce] = sent
        self._names += len(sent.versions)
        while len(self._sent) > self._responses_max or (self._names > self._names_max and len(self._sent) > 1):
            dropped = self._pop(next(iter(self._sent)))
            if dropped:
                yield dropped

    def settle(self, nonce: str, type_url: str) -> Sent | None:
        """Return what was sent with a nonce, and stop tracking it; None if the nonce is stale or invented."""
        found = self._sent.get(nonce)
        return self._pop(nonce) if found and found.type_url == type_url else None

    def has(self, type_url: str) -> bool:
        """Return whether a response of a type is in flight."""
        return any(sent.type_url == type_url for sent in self._sent.values())

    def _pop(self, nonce: str) -> Sent | None:
        sent = self._sent.pop(nonce, None)
        self._names -= len(sent.versions) if sent else 0
        return sent
