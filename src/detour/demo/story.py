"""The story that the demo tells: what each request says, and what must come of it.

Invariant: data only; the numbers and names here are those of the topology.
"""

from dataclasses import dataclass, field
from typing import Final

from detour.demo.verdict import NO_OVERRIDE, Expectation


@dataclass(frozen=True, slots=True)
class Step:
    """A request to the edge, sent once or several times.

    Args:
        words: The overrides, as people type them after `detour header`.
        moral: What is shown, if every hop is as expected.
        spread: A service whose every baseline instance must serve something.
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
        moral="the baseline serves every hop; without an override there is nothing for a sidecar to say",
        expectation=NO_OVERRIDE,
        requests=4,
        spread="users",
    ),
    Step(
        title="One service overridden",
        words=("users=pr-42",),
        moral="users is pr-42 wherever it is called, four hops from the edge too; all else is the baseline",
        expectation=Expectation(served_by={"users": "pr-42"}),
    ),
    Step(
        title="Two services overridden, one of them gRPC",
        words=("users=pr-42", "drivers=pr-7"),
        moral="two changes are tested together, though neither knows of the other",
        expectation=Expectation(served_by={"users": "pr-42", "drivers": "pr-7"}),
    ),
    Step(
        title="A deployment that does not exist",
        words=("users=pr-404",),
        moral="the calls of users fail and say why; nothing passes on the wrong code, and all else works",
        expectation=Expectation(missing={"users": "pr-404"}),
    ),
    Step(
        title="The same, but falling back",
        words=("users=pr-404", "missing=baseline"),
        moral="where a deployment is missing this request asks for the baseline; the sidecars say that it got it",
    ),
    Step(
        title="A slow hop",
        words=("delay.payments=300ms",),
        moral="payments is held for 300 ms, in this request only; its neighbours are as quick as ever",
        expectation=Expectation(delayed_ms={"payments": 300}),
    ),
)


@dataclass(frozen=True, slots=True)
class LiveRemoval:
    """A deployment is removed while requests run, some that ask for it and some that override nothing.

    Args:
        words: The overrides of those that ask for it.
        before: What they find while the deployment is there.
        after: What they find when it is gone.
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
    moral="those that ask for pr-42 fail from then on, those that do not never notice",
    before=Expectation(served_by={"users": "pr-42"}),
    after=Expectation(missing={"users": "pr-42"}),
)
