"""Requests that somebody tries out, and the hops that are reported of them.

Invariant: pure. Only a hop of a trial that is under way is kept, and only so many of one.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from detour.traffic.hops import Hop

TRIALS_MAX: Final = 50
"""How many may be under way at once."""

HOPS_MAX: Final = 300
"""How many hops of one are kept."""

_ID_BYTES: Final = 12
"""Nobody guesses what another one tries."""


class TooManyTrialsError(RuntimeError):
    """So many are under way that another one must wait."""


@dataclass(slots=True)
class Trial:
    """A request that somebody tries out.

    Args:
        id: What its hops are known by.
        heard: Called whenever a hop of it has come.
    """

    id: str
    heard: Callable[[], None]
    hops: list[Hop] = field(default_factory=list)
    dropped: int = 0

    @property
    def has_edge(self) -> bool:
        """Whether the edge has told of it, which it does when everything else has happened."""
        return any(one.by_edge for one in self.hops)

    def take(self, hop: Hop) -> None:
        """Keep a hop, unless there are too many."""
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
        """Begin a trial; it is over when the context is left.

        Args:
            heard: Called whenever a hop of it has come.

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
