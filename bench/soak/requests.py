"""What is sent, and which answers are right. Pure, but for the random numbers that it is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

BASELINE: Final = "baseline"
STABLE: Final = "stable"
CHURNING: Final = tuple(f"churn-{number}" for number in range(4))
"""Deployments of users that come and go; STABLE is always there."""

SCENARIO: Final = "always-stable"
EDITED: Final = "edited"
"""Scenarios: the first is never changed, the second leads to STABLE or to the baseline in turn."""

PREVIEWS: Final = "preview.example.test"
_CROWD: Final = {"baggage": "session.id=8d0f7c5e"}


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Args:
        by_edge: Whether it goes to an edge; else through a sidecar.
        url: Its path and query, and for sidecars its host before that.
        headers: What it carries.
        expected: The allowed bodies; the answer must have one, with status 200.
        missing: The deployment that a 503 may name instead; empty where there must be none.
    """

    by_edge: bool
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    expected: tuple[str, ...] = (BASELINE,)
    missing: str = ""

    def verdict(self, answer: Mapping[str, Any]) -> str:
        """Return what is wrong with an answer, in words; "" if nothing is."""
        status, body = answer.get("status", 0), str(answer.get("body", "")).strip()
        if status == 200 and body in self.expected:
            return ""
        if status == 200:
            return f"wrong code: {body[:80]!r} instead of {' or '.join(self.expected)}, for {self._named()}"
        if status == 503 and self.missing and self.missing in body:
            return ""
        return f"{answer.get('error') or f'status {status}: {body[:160]}'}, for {self._named()}"

    def _named(self) -> str:
        where = "an edge" if self.by_edge else "a sidecar"
        return f"{self.url} with {dict(self.headers)} through {where}"


def random_request(random: Random, kinds: Sequence[str]) -> Request:
    """Return a request of a kind that a client can send.

    Args:
        random: Where the choice comes from.
        kinds: `sidecar` for those through a sidecar, `edge` for those to one, `preview` to a preview host,
            `link` for what a person opens.
    """
    kind = random.choice(kinds)
    if kind == "sidecar":
        return _through_sidecar(random)
    if kind == "preview":
        return Request(True, "/", {"host": f"{SCENARIO}.{PREVIEWS}"}, (STABLE,))
    return _link(random) if kind == "link" else _to_edge(random)


def _through_sidecar(random: Random) -> Request:
    churning = random.choice(CHURNING)
    return random.choice(
        [
            Request(False, "http://users/"),
            Request(False, "http://users:80/", _CROWD),
            Request(False, "http://users/", _overriding(STABLE), (STABLE,)),
            Request(False, "http://users/", _overriding(STABLE, more="theirs=1"), (STABLE,)),
            Request(False, "http://users/", _overriding(churning), (churning,), churning),
            Request(False, "http://users/", _overriding("never", more="override.missing=baseline")),
            Request(False, "http://users/", _overriding("never"), (), "never"),
            Request(False, "http://users/", {"baggage": "override.route.payments=stable"}),
        ]
    )


def _to_edge(random: Random) -> Request:
    return random.choice(
        [
            Request(True, "/"),
            Request(True, "/", _CROWD),
            # The edge removes overrides from outside.
            Request(True, "/", _overriding(STABLE)),
            Request(True, "/", {"x-detour-scenario": SCENARIO}, (STABLE,)),
            Request(True, "/", {"cookie": f"detour={SCENARIO}"}, (STABLE,)),
            Request(True, "/", {"x-detour-scenario": EDITED}, (STABLE, BASELINE)),
            Request(True, "/", {"origin": f"http://{SCENARIO}.{PREVIEWS}"}, (STABLE,)),
        ]
    )


def _link(random: Random) -> Request:
    return random.choice([Request(True, f"/?detour={SCENARIO}", {}, (STABLE,)), Request(True, "/?page=2")])


def _overriding(deployment: str, more: str = "") -> Mapping[str, str]:
    entry = f"override.route.users={deployment}"
    return {"baggage": f"{entry},{more}" if more else entry}
