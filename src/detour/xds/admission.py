"""Limits how fast Envoys connect: many that reconnect at once must not starve those that are connected.

Invariant: pure. The caller supplies the time and does the waiting.
"""


class Admission:
    """A token bucket that returns how long each arrival has to wait.

    Args:
        per_second: Sustained arrivals per second.
        burst: Arrivals admitted at once after an idle period.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        self._interval = 1 / per_second
        self._burst = burst
        self._next = 0.0

    def wait(self, now: float) -> float:
        """Admit one arrival at `now` (seconds of a monotonic clock); return how many seconds it has to wait."""
        earliest = now - self._interval * (self._burst - 1)
        self._next = max(self._next, earliest) + self._interval
        return max(0.0, self._next - self._interval - now)
