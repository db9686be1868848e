"""The hops of one request, and how they hang together.

Invariant: pure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_TOLERANCE: Final = 0.005
"""How many seconds the clocks of two machines may differ: a call may seem to begin before its cause."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One request between two services, as reported by the caller's Envoy.

    Args:
        caller: The service that sent it, or `edge`.
        caller_deployment: The deployment that the caller belongs to; None for the baseline, or if it is unknown.
        caller_instance: The caller's Envoy.
        service: The service that it was for, or an external host.
        deployment: The deployment that it was for; None for the baseline.
        served_by: The instance that answered: `users` or `users@pr-42`; None without an answer, or for an external
        host. status: The HTTP status; None without an answer.
        grpc_status: The gRPC status; None without one.
        why: What failed, or was done by an override, in words.
        start: When it was sent, in seconds since 1970 by the caller's clock.
        seconds: How long it took.
        by_edge: Whether an edge sent it.
    """

    caller: str
    caller_deployment: str | None
    caller_instance: str
    service: str
    deployment: str | None
    served_by: str | None
    method: str
    path: str
    status: int | None
    grpc_status: int | None
    why: str
    start: float
    seconds: float
    by_edge: bool

    @property
    def end(self) -> float:
        """When its answer ended."""
        return self.start + self.seconds

    @property
    def served_deployment(self) -> str | None:
        """The deployment that answered; None for the baseline."""
        return (self.served_by or "").partition("@")[2] or None

    def is_from(self, other: "Hop") -> bool:
        """Return whether the instances that served another hop may have sent this one."""
        if self.by_edge or self is other or self.caller != other.service:
            return False
        return self.caller_deployment in {None, other.served_deployment}


def parents(hops: Sequence[Hop]) -> list[int | None]:
    """Return the index of each hop's parent, the hop that caused it; None for the first hop, and if it is unknown.

    The service of the parent is the caller of the hop. Of several candidates, the parent is the shortest that
    lasted until the hop ended; if none did, it is the last one before the hop, because a service may call others
    after its answer. No hop is its own ancestor.
    """
    found: list[int | None] = [None] * len(hops)
    for at, hop in enumerate(hops):
        found[at] = next((one for one in _candidates(hops, hop) if at not in _line(found, one)), None)
    return found


def _candidates(hops: Sequence[Hop], hop: Hop) -> list[int]:
    """Return the indices of a hop's possible parents, the most probable first."""
    earlier = [at for at, one in enumerate(hops) if hop.is_from(one) and one.start <= hop.start + _TOLERANCE]
    # A caller usually answers after the calls that it made, and starts before them.
    around = {at for at in earlier if hops[at].end + _TOLERANCE >= hop.end}

    def unlikely(at: int) -> tuple[bool, bool, float]:
        one = hops[at]
        # A caller without a known deployment more probably is the baseline.
        is_other = hop.caller_deployment != one.served_deployment
        return at not in around, is_other, one.seconds if at in around else -one.start

    return sorted(earlier, key=unlikely)


def _line(found: Sequence[int | None], place: int | None) -> Iterator[int]:
    """Yield an index, and those of its ancestors."""
    while place is not None:
        yield place
        place = found[place]
