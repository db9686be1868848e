"""One candidate of a leader election: its knowledge of the Lease, and its next action.

Safety rests on three rules. A candidate writes the Lease with the version that it read (compare and swap), so it
never overwrites a state that it has not seen. Before it takes the Lease from another holder, it waits a whole lease
duration, by its own clock, after it first saw the current record. A leader measures its (shorter) deadline from
before it sent its last renewal, so from before others could see that renewal.

A Lease that was renewed and has no holder is free: its last holder released it. A missing Lease, or one that was
never renewed, does not mean that the leader is gone: it may have been deleted while a leader holds it. A candidate
that creates the Lease therefore does not lead yet; it waits for the lease duration like all others. client-go leads
immediately in this case, so that two may lead for a while.

Invariant: pure; the caller passes the time, in seconds of a clock that also runs while the machine sleeps. Times
from the Lease, which are those of other clocks, are never compared with it.
"""

from dataclasses import dataclass
from typing import Final

_NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of an election in seconds, with client-go's defaults.

    Args:
        duration: How long other candidates wait for a leader that does not renew (`leaseDurationSeconds`).
        deadline: How long a leader keeps leading if it cannot renew.
        period: How often a leader renews and a candidate reads the Lease.

    Raises:
        ValueError: Unless duration > deadline > period > 0.
    """

    duration: int = 15
    deadline: float = 10
    period: float = 2

    def __post_init__(self) -> None:
        if not self.duration > self.deadline > self.period > 0:
            raise ValueError(f"expected duration > deadline > period > 0, got {self}")


@dataclass(frozen=True, slots=True)
class Record:
    """The content of a Lease (`coordination.k8s.io/v1`, `LeaseSpec`).

    Args:
        holder: The leader's identity; empty without a leader.
        duration: How many seconds other candidates wait.
        acquired: When the holder became leader, by its own clock.
        renewed: When the holder renewed it, by its own clock; candidates only check whether it changes.
        transitions: How often the leader changed.
    """

    holder: str = ""
    duration: float = 0
    acquired: str = ""
    renewed: str = ""
    transitions: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Read:
    """Read the Lease; then call `saw` or `failed`."""


@dataclass(frozen=True, slots=True)
class Write:
    """Write the Lease; then call `wrote`, `refused` or `failed`.

    Args:
        version: The version to replace; None to create the Lease.
        transitions: The value to write.
        is_renewal: Whether the holder, and so `acquired`, stays the same.
    """

    version: str | None
    transitions: int
    is_renewal: bool


class Candidate:
    """One candidate.

    Args:
        identity: Its name; unique, also among earlier processes.
        timing: The times of the election.
    """

    def __init__(self, identity: str, timing: Timing) -> None:
        self.identity = identity
        self.timing = timing
        self.seen: Record | None = None
        """The content of the Lease when it was last read or written; None if it did not exist."""
        self._seen_at: float | None = None
        self._version: str | None = None
        self._is_current = False
        """Whether `_version` may still be the Lease's version."""
        self._has_read = False
        self._next = _NEVER
        self._until = _NEVER

    def leads(self, now: float) -> bool:
        """Return whether this candidate certainly leads."""
        return now < self._until

    def remaining(self, now: float) -> float:
        """Return for how many seconds it keeps leading if it does not renew."""
        return max(0.0, self._until - now)

    def act(self, now: float) -> Wait | Read | Write:
        """Return the next action at this time; does not change the candidate."""
        if now < self._next:
            return Wait(self._next - now)
        if self._has_read or (self._is_current and self.leads(now)):
            return self._write()
        return Read()

    def saw(self, record: Record | None, version: str | None, now: float) -> None:
        """Record that the Lease was read.

        Args:
            record: Its content; None if it does not exist.
            version: Its `resourceVersion`.
            now: When the response arrived.
        """
        # The patience with a holder starts when its record was first seen, by this clock: times in it are of
        # another one.
        if self._seen_at is None or record != self.seen:
            self.seen, self._seen_at = record, now
        self._version, self._is_current, self._has_read = version, True, True
        # Another candidate holds the Lease, so a deadline that this one still counted on is void.
        if record is not None and record.holder != self.identity:
            self._until = _NEVER
        if not self._may_write(now):
            self._rest(now)

    def wrote(self, record: Record, version: str, sent: float, now: float) -> None:
        """Record that the Lease was written.

        Args:
            record: Its content.
            version: Its `resourceVersion`.
            sent: The time before the request was sent.
            now: When the response arrived.
        """
        # A Lease that was missing may have been deleted while a leader holds it: its creator has to wait
        # first.
        is_confirmed = self.seen is not None or self.leads(sent)
        self.seen, self._seen_at, self._version, self._is_current = record, now, version, True
        if is_confirmed:
            # From before the request: others may have seen the renewal before its answer came back.
            self._until = sent + self.timing.deadline
        self._rest(sent)

    def refused(self, now: float) -> None:
        """Record a write conflict: read again, immediately unless this attempt began with a read."""
        self._is_current = False
        if self._has_read:
            self._rest(now)

    def failed(self, sent: float) -> None:
        """Record that the request sent at this time got no response; a write may have happened."""
        self._is_current = False
        self._rest(sent)

    def step_down(self) -> None:
        """Stop leading, before the Lease is released or expires."""
        self._until = _NEVER

    def release(self) -> Read | Write | None:
        """Return the next action to release the Lease; None if this candidate does not hold it."""
        if self.seen is None or self.seen.holder != self.identity:
            return None
        return Write(self._version, self.seen.transitions, is_renewal=True) if self._is_current else Read()

    def _write(self) -> Write:
        if self.seen is None:
            return Write(None, 0, is_renewal=False)
        is_renewal = self.seen.holder == self.identity
        return Write(self._version, self.seen.transitions + (not is_renewal), is_renewal)

    def _may_write(self, now: float) -> bool:
        if self.seen is None or self.leads(now):
            return True
        is_released = not self.seen.holder and self.seen.renewed
        # The holder may run with other times than this candidate; its own record says which.
        patience = self.seen.duration or self.timing.duration
        return bool(is_released) or (self._seen_at is not None and now >= self._seen_at + patience)

    def _rest(self, now: float) -> None:
        self._has_read = False
        self._next = now + self.timing.period
