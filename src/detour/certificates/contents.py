"""Decides what Secrets should contain, given what they contain.

Invariant: pure and idempotent: after a change has been written, no other follows until a certificate is due.
Invalid content of any kind (truncated, edited, expired, foreign) is replaced, with a reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from detour.certificates.authority import Pair, Subject, Terms, issue
from detour.certificates.succession import Authorities, succeed
from detour.certificates.verdict import Standing, Verdict, judge_leaf

Data = Mapping[str, bytes]
"""The content of a Secret, by key."""

CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"
BUNDLE: Final = "ca.crt"
PREVIOUS_CERTIFICATE: Final = "previous.crt"
PREVIOUS_KEY: Final = "previous.key"


@dataclass(frozen=True, slots=True)
class SecretChange:
    """A change to write to a Secret.

    Args:
        data: The keys to change, with their values; None removes a key.
        reason: The reason, in a form that fits after "because".
        is_repair: Whether the content was invalid, rather than due for renewal.
    """

    data: Mapping[str, bytes | None]
    reason: str
    is_repair: bool = False


def authorities_of(data: Data | None, now: datetime, terms: Terms) -> tuple[Authorities, SecretChange | None]:
    """Return the authorities to use, and the change that stores them, if needed.

    Args:
        data: The content of the authority's Secret; None if the Secret does not exist.
        now: The time (timezone-aware).
        terms: The lifetimes.
    """
    authorities, verdict = succeed(_held(data), now, terms)
    if verdict.standing is Standing.GOOD:
        return authorities, None
    previous = authorities.previous
    wanted = {
        CERTIFICATE: authorities.newest.certificate,
        KEY: authorities.newest.key,
        PREVIOUS_CERTIFICATE: previous.certificate if previous else None,
        PREVIOUS_KEY: previous.key if previous else None,
    }
    return authorities, _change(wanted, data, verdict)


def leaf_change(
    data: Data | None,
    subject: Subject,
    authorities: Authorities,
    now: datetime,
    terms: Terms,
) -> SecretChange | None:
    """Return the change after which a Secret has a subject's certificate and all authorities; None if it has them.

    Args:
        data: The content of the Secret; None if the Secret does not exist.
        subject: The subject of the certificate.
        authorities: The current authorities.
        now: The time (timezone-aware).
        terms: The lifetimes.
    """
    verdict = _verdict(data, subject, authorities, now)
    others = {BUNDLE: authorities.bundle}
    if verdict.standing is not Standing.GOOD:
        pair = issue(subject, authorities.signing(now, terms), now, terms)
        return _change({CERTIFICATE: pair.certificate, KEY: pair.key, **others}, data, verdict)
    change = _change(others, data, verdict)
    return replace(change, reason=f"its {', '.join(change.data)} was outdated") if change.data else None


def _held(data: Data | None) -> Authorities | None:
    if data is None:
        return None
    previous = Pair(data.get(PREVIOUS_CERTIFICATE, b""), data.get(PREVIOUS_KEY, b""))
    return Authorities(_pair(data), previous if previous.certificate else None)


def _pair(data: Data) -> Pair:
    return Pair(data.get(CERTIFICATE, b""), data.get(KEY, b""))


def _verdict(data: Data | None, subject: Subject, authorities: Authorities, now: datetime) -> Verdict:
    if data is None:
        return Verdict(Standing.DUE, "it did not exist")
    return judge_leaf(_pair(data), subject, authorities.all, now)


def _change(wanted: Mapping[str, bytes | None], data: Data | None, verdict: Verdict) -> SecretChange:
    held = data or {}
    different = {key: value for key, value in wanted.items() if held.get(key) != value}
    return SecretChange(different, verdict.reason, is_repair=verdict.standing is Standing.UNFIT)
