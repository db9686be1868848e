"""Rotates the authority; no peer is ever refused because of a rotation.

A new authority is in the bundle for `Terms.spread` before it signs. Its predecessor stays in the bundle until all
certificates that it signed have expired. In between, peers trust both.

Invariant: pure; all decisions are derived from the certificates themselves, so that a new leader can continue a
rotation.
"""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from detour.certificates.authority import Pair, Terms, new_authority
from detour.certificates.verdict import Standing, Verdict, judge_authority, trusted


@dataclass(frozen=True, slots=True)
class Authorities:
    """The trusted authorities.

    Args:
        newest: The one created last.
        previous: Its predecessor, while certificates that it signed are in use.
    """

    newest: Pair
    previous: Pair | None = None

    @property
    def all(self) -> tuple[Pair, ...]:
        """All trusted authorities."""
        return (self.newest,) if self.previous is None else (self.newest, self.previous)

    @property
    def bundle(self) -> bytes:
        """Their certificates as a CA bundle (PEM)."""
        return b"".join(pair.certificate for pair in self.all)

    def signing(self, now: datetime, terms: Terms) -> Pair:
        """Return the authority that signs: the previous one, if it can, until peers trust the newest."""
        is_known = now >= _made(self.newest, terms) + terms.spread
        if is_known or self.previous is None:
            return self.newest
        can_sign = judge_authority(self.previous, now, terms).standing is not Standing.UNFIT
        return self.previous if can_sign else self.newest


def succeed(held: Authorities | None, now: datetime, terms: Terms) -> tuple[Authorities, Verdict]:
    """Return the authorities to use now.

    Args:
        held: The stored authorities, in any state; None if there are none.
        now: The time (timezone-aware).
        terms: The lifetimes.

    Returns:
        The authorities, and a verdict on the stored ones: good if nothing changes.
    """
    if held is None:
        return Authorities(new_authority(now, terms)), Verdict(Standing.DUE, "it did not exist")
    verdict = judge_authority(held.newest, now, terms)
    if verdict.standing is not Standing.GOOD:
        return Authorities(new_authority(now, terms), _predecessor(held, now)), verdict
    if held.previous is None or not _is_over(held, held.previous, now, terms):
        return held, verdict
    return Authorities(held.newest), Verdict(
        Standing.DUE, "all certificates of the previous authority have expired"
    )


def _predecessor(held: Authorities, now: datetime) -> Pair | None:
    """Return the newest authority to keep trusting; a damaged key does not invalidate its certificate."""
    return next((pair for pair in held.all if trusted(pair.certificate, now)), None)


def _is_over(held: Authorities, previous: Pair, now: datetime, terms: Terms) -> bool:
    last = _made(held.newest, terms) + terms.spread + terms.leaf
    return now >= last or trusted(previous.certificate, now) is None


def _made(pair: Pair, terms: Terms) -> datetime:
    return x509.load_pem_x509_certificate(pair.certificate).not_valid_before_utc + terms.backdate
