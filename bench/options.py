"""What a person can choose about a run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """How thoroughly to measure.

    Args:
        rounds: Rounds of the comparisons of CPU time, one short slice of each candidate a round.
        requests: How many each row of the conformance table is sent.
        quick: A small part of everything else: to see that it works, not to believe the numbers.
    """

    rounds: int = 240
    requests: int = 10_000
    quick: bool = False

    def times(self, full: int, quick: int) -> int:
        """Choose how often something is done."""
        return quick if self.quick else full
