"""How fast Envoys are let in: a herd that reconnects at once must not starve those that are connected.

Invariant: pure; the caller brings the clock and does the waiting.
"""


class Admission:
    """A token bucket that tells each arrival how long to wait.

    Args:
        per_second: Arrivals let in per second in the long run.
        burst: Arrivals let in at once after a quiet time.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        self._interval = 1 / per_second
        self._burst = burst
        self._next = 0.0

    def wait(self, now: float) -> float:
        """Admit one arrival at `now` (seconds of any steady clock); return how many seconds it has to wait."""
        earliest = now - self._interval * (self._burst - 1)
        self._next = max(self._next, earliest) + self._interval
        return max(0.0, self._next - self._interval - now)
