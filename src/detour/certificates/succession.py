"""The authority and its successor: nobody is ever refused because of a change of authority.

A successor is known to everybody (in the bundle) for `Terms.spread` before it signs anything, and its predecessor
stays known until all that it signed has ended. In between, both are trusted.

Invariant: pure; everything follows from the certificates themselves, so a leader that takes over in the middle goes
on where the other one was.
"""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from detour.certificates.authority import Pair, Terms, new_authority
from detour.certificates.verdict import Standing, Verdict, judge_authority, trusted


@dataclass(frozen=True, slots=True)
class Authorities:
    """The authorities in force.

    Args:
        newest: The last one made.
        previous: The one before, while anything that it signed is in use.
    """

    newest: Pair
    previous: Pair | None = None

    @property
    def all(self) -> tuple[Pair, ...]:
        """All whose signatures count."""
        return (self.newest,) if self.previous is None else (self.newest, self.previous)

    @property
    def bundle(self) -> bytes:
        """Their certificates: PEM, as peers are to trust them."""
        return b"".join(pair.certificate for pair in self.all)

    def signing(self, now: datetime, terms: Terms) -> Pair:
        """Return the one that signs: the previous one, if it can, until the newest has got around."""
        is_known = now >= _made(self.newest, terms) + terms.spread
        if is_known or self.previous is None:
            return self.newest
        can_sign = judge_authority(self.previous, now, terms).standing is not Standing.UNFIT
        return self.previous if can_sign else self.newest


def succeed(held: Authorities | None, now: datetime, terms: Terms) -> tuple[Authorities, Verdict]:
    """Return the authorities that should be in force.

    Args:
        held: Those that are, whatever their state; None if there are none.
        now: The time (timezone-aware).
        terms: How long things last.

    Returns:
        The authorities, and a verdict on those held: good if nothing changed.
    """
    if held is None:
        return Authorities(new_authority(now, terms)), Verdict(Standing.DUE, "there was none")
    verdict = judge_authority(held.newest, now, terms)
    if verdict.standing is not Standing.GOOD:
        return Authorities(new_authority(now, terms), _predecessor(held, now)), verdict
    if held.previous is None or not _is_over(held, held.previous, now, terms):
        return held, verdict
    return Authorities(held.newest), Verdict(Standing.DUE, "all that the previous one signed has ended")


def _predecessor(held: Authorities, now: datetime) -> Pair | None:
    """Of one whose key is damaged, the certificate is still worth trusting."""
    return next((pair for pair in held.all if trusted(pair.certificate, now)), None)


def _is_over(held: Authorities, previous: Pair, now: datetime, terms: Terms) -> bool:
    last = _made(held.newest, terms) + terms.spread + terms.leaf
    return now >= last or trusted(previous.certificate, now) is None


def _made(pair: Pair, terms: Terms) -> datetime:
    return x509.load_pem_x509_certificate(pair.certificate).not_valid_before_utc + terms.backdate
