"""Trial requests, and their reported hops.

Invariant: pure. Only hops of trials that are under way are kept, and a bounded number of each.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from detour.traffic.hops import Hop

TRIALS_MAX: Final = 50
"""Maximum number of trials that are under way."""

HOPS_MAX: Final = 300
"""Maximum number of hops of one trial."""

_ID_BYTES: Final = 12
"""So long that trials of others cannot be guessed."""


class TooManyTrialsError(RuntimeError):
    """Too many trials are under way."""


@dataclass(slots=True)
class Trial:
    """A trial request.

    Args:
        id: The identity in the baggage of its hops.
        heard: Called for each hop.
    """

    id: str
    heard: Callable[[], None]
    hops: list[Hop] = field(default_factory=list)
    dropped: int = 0

    @property
    def has_edge(self) -> bool:
        """Whether the edge has reported it, which happens after the answer."""
        return any(one.by_edge for one in self.hops)

    def take(self, hop: Hop) -> None:
        """Add a hop, or count it as dropped if there are too many."""
        if len(self.hops) < HOPS_MAX:
            self.hops.append(hop)
        else:
            self.dropped += 1
        self.heard()


class Trials:
    """The trials that are under way."""

    def __init__(self) -> None:
        self._under_way: dict[str, Trial] = {}

    @contextmanager
    def begun(self, heard: Callable[[], None]) -> Iterator[Trial]:
        """Begin a trial; it ends with the context.

        Args:
            heard: Called for each hop.

        Raises:
            TooManyTrialsError: Too many are under way.
        """
        if len(self._under_way) >= TRIALS_MAX:
            raise TooManyTrialsError(f"{TRIALS_MAX} requests are being tried out at this moment: try again soon")
        trial = Trial(secrets.token_hex(_ID_BYTES), heard)
        self._under_way[trial.id] = trial
        try:
            yield trial
        finally:
            del self._under_way[trial.id]

    def find(self, name: str | None) -> Trial | None:
        """Return a trial that is under way."""
        return self._under_way.get(name) if name else None
