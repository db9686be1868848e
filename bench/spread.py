"""Many measurements of one thing, in a few numbers."""

from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` per cent of the values do not exceed (nearest rank)."""
    ranked = sorted(values)
    rank = max(1, -(-len(ranked) * percent // 100))
    return ranked[int(rank) - 1]


def spread(values: Sequence[float], *percents: float) -> dict[str, float]:
    """Return percentiles by name, such as `p99`, with the largest value and how many there are."""
    named = {f"p{percent:g}": percentile(values, percent) for percent in percents}
    return {**named, "max": max(values), "n": len(values)}
