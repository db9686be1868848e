"""What a person can choose about a run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """How thoroughly to measure.

    Args:
        rounds: Rounds of the comparisons of CPU time, one short slice of each candidate a round.
        requests: How many each row of the conformance table is sent.
        seconds: How long the parts last that last; 0 for as long as each has been given a target for.
        quick: A small part of everything else: to see that it works, not to believe the numbers.
    """

    rounds: int = 240
    requests: int = 10_000
    quick: bool = False
    seconds: int = 0

    def times(self, full: int, quick: int) -> int:
        """Choose how often something is done."""
        return quick if self.quick else full
