"""The demo's story: the overrides of each request, and the expected result.

Invariant: data only; numbers and names match the topology.
"""

from dataclasses import dataclass, field
from typing import Final

from detour.demo.verdict import NO_OVERRIDE, Expectation


@dataclass(frozen=True, slots=True)
class Step:
    """A request to the edge, sent once or several times.

    Args:
        words: The overrides, as arguments of `detour header`.
        moral: What the step shows, if every hop is as expected.
        spread: A service; each of its baseline instances must serve at least one call.
    """

    title: str
    words: tuple[str, ...]
    moral: str
    expectation: Expectation = field(default_factory=Expectation)
    requests: int = 1
    spread: str | None = None


STEPS: Final = (
    Step(
        title="No override",
        words=(),
        moral="the baseline serves every hop; sidecars add no header to requests without overrides",
        expectation=NO_OVERRIDE,
        requests=4,
        spread="users",
    ),
    Step(
        title="One service overridden",
        words=("users=pr-42",),
        moral="pr-42 serves every call to users, even four hops from the edge; the baseline serves all other calls",
        expectation=Expectation(served_by={"users": "pr-42"}),
    ),
    Step(
        title="Two services overridden, one of them gRPC",
        words=("users=pr-42", "drivers=pr-7"),
        moral="a request can test two changes together; neither deployment knows about the other",
        expectation=Expectation(served_by={"users": "pr-42", "drivers": "pr-7"}),
    ),
    Step(
        title="A deployment that does not exist",
        words=("users=pr-404",),
        moral="calls to users fail with the reason, instead of reaching the wrong code; all other calls work",
        expectation=Expectation(missing={"users": "pr-404"}),
    ),
    Step(
        title="The same, with a fallback to the baseline",
        words=("users=pr-404", "missing=baseline"),
        moral="this request asks for the baseline if a deployment is missing; the sidecars report that it served",
    ),
    Step(
        title="A slow hop",
        words=("delay.payments=300ms",),
        moral="calls to payments wait 300 ms, in this request only; all other calls are as fast as before",
        expectation=Expectation(delayed_ms={"payments": 300}),
    ),
)


@dataclass(frozen=True, slots=True)
class LiveRemoval:
    """A deployment is removed while requests run, with and without an override that names it.

    Args:
        words: The overrides of the overridden requests.
        before: Their expectation while the deployment exists.
        after: Their expectation after the removal.
    """

    title: str
    service: str
    deployment: str
    words: tuple[str, ...]
    moral: str
    before: Expectation
    after: Expectation


LIVE_REMOVAL: Final = LiveRemoval(
    title="A deployment is removed while requests run",
    service="users",
    deployment="pr-42",
    words=("users=pr-42",),
    moral="after the removal, requests that name pr-42 fail; requests without overrides are not affected",
    before=Expectation(served_by={"users": "pr-42"}),
    after=Expectation(missing={"users": "pr-42"}),
)
