"""What the Secrets should hold, given what they hold.

Invariant: pure and idempotent: once a change has been written, none follows until the time calls for it. Whatever a
Secret holds, truncated, edited, expired or foreign, it is replaced by something good, with the reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from detour.certificates.authority import Pair, Subject, Terms, issue
from detour.certificates.succession import Authorities, succeed
from detour.certificates.verdict import Standing, Verdict, judge_leaf

Data = Mapping[str, bytes]
"""What a Secret holds, by key."""

CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"
BUNDLE: Final = "ca.crt"
PREVIOUS_CERTIFICATE: Final = "previous.crt"
PREVIOUS_KEY: Final = "previous.key"


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be written to a Secret.

    Args:
        data: The keys that are to hold something else; None takes a key away.
        reason: Why, to follow "because".
        is_repair: What was there was unfit, not merely old.
    """

    data: Mapping[str, bytes | None]
    reason: str
    is_repair: bool = False


def authorities_of(data: Data | None, now: datetime, terms: Terms) -> tuple[Authorities, Change | None]:
    """Return the authorities that should be in force, and what to write for it to be so.

    Args:
        data: What the Secret of the authority holds; None if there is no such Secret.
        now: The time (timezone-aware).
        terms: How long things last.
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
) -> Change | None:
    """Return what to write for a Secret to hold a subject's certificate and all authorities; None if it does.

    Args:
        data: What it holds; None if there is no such Secret.
        subject: Whom its certificate is for.
        authorities: Those in force.
        now: The time (timezone-aware).
        terms: How long things last.
    """
    verdict = _verdict(data, subject, authorities, now)
    others = {BUNDLE: authorities.bundle}
    if verdict.standing is not Standing.GOOD:
        pair = issue(subject, authorities.signing(now, terms), now, terms)
        return _change({CERTIFICATE: pair.certificate, KEY: pair.key, **others}, data, verdict)
    change = _change(others, data, verdict)
    return replace(change, reason=f"its {', '.join(change.data)} was another") if change.data else None


def _held(data: Data | None) -> Authorities | None:
    if data is None:
        return None
    previous = Pair(data.get(PREVIOUS_CERTIFICATE, b""), data.get(PREVIOUS_KEY, b""))
    return Authorities(_pair(data), previous if previous.certificate else None)


def _pair(data: Data) -> Pair:
    return Pair(data.get(CERTIFICATE, b""), data.get(KEY, b""))


def _verdict(data: Data | None, subject: Subject, authorities: Authorities, now: datetime) -> Verdict:
    if data is None:
        return Verdict(Standing.DUE, "there was none")
    return judge_leaf(_pair(data), subject, authorities.all, now)


def _change(wanted: Mapping[str, bytes | None], data: Data | None, verdict: Verdict) -> Change:
    held = data or {}
    different = {key: value for key, value in wanted.items() if held.get(key) != value}
    return Change(different, verdict.reason, is_repair=verdict.standing is Standing.UNFIT)
