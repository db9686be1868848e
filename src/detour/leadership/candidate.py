"""One candidate for leadership: what it knows of the Lease, and what it does next.

Safety rests on three things. A Lease is written with the version that was read (compare and swap), so nobody
writes over what they have not seen. A candidate waits a whole lease duration, by its own clock, after it first saw
what the Lease says, before it takes it from another. A leader counts its (shorter) deadline from before it sent its
last renewal, so from before anybody could see that.

A Lease that was renewed and has no holder is free: its last holder has said so. An absent one, or one that was
never renewed, says nothing about who leads: somebody may have deleted it under a leader. Who makes it does not lead
by that; it waits for its duration like all others. client-go leads at once, and two may lead for a while.

Invariant: pure; the caller brings the time, in seconds of any clock that never stands still, not even while the
machine sleeps. Times of others, as in the Lease, are never compared with it.
"""

from dataclasses import dataclass
from typing import Final

_NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things take, in seconds; client-go's defaults.

    Args:
        duration: How long others wait for a leader that is silent (`leaseDurationSeconds`).
        deadline: How long a leader leads without being able to renew.
        period: How often a leader renews and a candidate looks.

    Raises:
        ValueError: Not duration > deadline > period > 0.
    """

    duration: int = 15
    deadline: float = 10
    period: float = 2

    def __post_init__(self) -> None:
        if not self.duration > self.deadline > self.period > 0:
            raise ValueError(f"leadership needs duration > deadline > period > 0, and not {self}")


@dataclass(frozen=True, slots=True)
class Record:
    """What a Lease says (`coordination.k8s.io/v1`, `LeaseSpec`).

    Args:
        holder: Who leads; empty for nobody.
        duration: How many seconds others are to wait.
        acquired: Since when the holder leads, as it writes it.
        renewed: When it was renewed, as the holder writes it; only its change means anything.
        transitions: How often the leader changed.
    """

    holder: str = ""
    duration: float = 0
    acquired: str = ""
    renewed: str = ""
    transitions: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Look:
    """Read the Lease: `saw` or `failed` follows."""


@dataclass(frozen=True, slots=True)
class Write:
    """Write the Lease: `wrote`, `refused` or `failed` follows.

    Args:
        version: The version that it has to have; None to make it.
        transitions: What it is to say.
        is_renewal: The holder stays the same, so `acquired` does too.
    """

    version: str | None
    transitions: int
    is_renewal: bool


class Candidate:
    """One candidate.

    Args:
        identity: Its name, unlike any other's, also of earlier processes.
        timing: How long things take.
    """

    def __init__(self, identity: str, timing: Timing) -> None:
        self.identity = identity
        self.timing = timing
        self.seen: Record | None = None
        """What the Lease said when last seen or written; None for no Lease."""
        self._seen_at: float | None = None
        self._version: str | None = None
        self._is_current = False
        """Nothing says yet that the version is no longer the Lease's."""
        self._has_looked = False
        self._next = _NEVER
        self._until = _NEVER

    def leads(self, now: float) -> bool:
        """Say whether it leads, for certain."""
        return now < self._until

    def remaining(self, now: float) -> float:
        """Return for how many seconds it leads without renewing."""
        return max(0.0, self._until - now)

    def act(self, now: float) -> Wait | Look | Write:
        """Return what to do at this time; changes nothing."""
        if now < self._next:
            return Wait(self._next - now)
        if self._has_looked or (self._is_current and self.leads(now)):
            return self._write()
        return Look()

    def saw(self, record: Record | None, version: str | None, now: float) -> None:
        """Take what the Lease says.

        Args:
            record: Its content; None if there is no Lease.
            version: Its `resourceVersion`.
            now: When the answer was there.
        """
        if self._seen_at is None or record != self.seen:
            self.seen, self._seen_at = record, now
        self._version, self._is_current, self._has_looked = version, True, True
        if record is not None and record.holder != self.identity:
            self._until = _NEVER
        if not self._may_write(now):
            self._rest(now)

    def wrote(self, record: Record, version: str, sent: float, now: float) -> None:
        """Take note that the Lease was written.

        Args:
            record: Its content.
            version: Its `resourceVersion`.
            sent: The time before it was sent.
            now: When the answer was there.
        """
        is_confirmed = self.seen is not None or self.leads(sent)
        self.seen, self._seen_at, self._version, self._is_current = record, now, version, True
        if is_confirmed:
            self._until = sent + self.timing.deadline
        self._rest(sent)

    def refused(self, now: float) -> None:
        """Take note that the Lease is not what it was: look again, at once if nobody has looked this time."""
        self._is_current = False
        if self._has_looked:
            self._rest(now)

    def failed(self, sent: float) -> None:
        """Take note that nothing is known of what was sent at this time: a write may have been done."""
        self._is_current = False
        self._rest(sent)

    def step_down(self) -> None:
        """Lead no more, before the Lease is released or left to end."""
        self._until = _NEVER

    def release(self) -> Look | Write | None:
        """Return what to do so that others need not wait; None if the Lease is not its own."""
        if self.seen is None or self.seen.holder != self.identity:
            return None
        return Write(self._version, self.seen.transitions, is_renewal=True) if self._is_current else Look()

    def _write(self) -> Write:
        if self.seen is None:
            return Write(None, 0, is_renewal=False)
        is_renewal = self.seen.holder == self.identity
        return Write(self._version, self.seen.transitions + (not is_renewal), is_renewal)

    def _may_write(self, now: float) -> bool:
        if self.seen is None or self.leads(now):
            return True
        is_released = not self.seen.holder and self.seen.renewed
        patience = self.seen.duration or self.timing.duration
        return bool(is_released) or (self._seen_at is not None and now >= self._seen_at + patience)

    def _rest(self, now: float) -> None:
        self._has_looked = False
        self._next = now + self.timing.period
