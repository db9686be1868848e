"""Who answered, and whether that was right: the judge of every request in the isolation bench.

Invariant: a pod that was offloaded from its beginning may never answer a request of the baseline, nor a pod that
was always the baseline's an overridden one. A live pod whose labels change had the other role until then, and
sidecars learn about it a moment later. Requests in between are not leaks, but the delay of the last one is recorded
for each change.
"""

import math
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from bench.kubernetes.asking import Answer, Asking, load

BASELINE: Final = "baseline"

_UNAVAILABLE: Final = 503


@dataclass(slots=True)
class Role:
    """What a pod is for some time, by `time.monotonic`.

    Args:
        name: The baseline's, or which deployment's.
        since: When that began.
        until: When the change to something else had been answered by the API server.
        late: How long after that the last request was sent that it answered as what it was, in seconds.
    """

    name: str
    since: float
    until: float = math.inf
    late: float = 0.0


@dataclass(slots=True)
class Witness:
    """What all requests of a run were answered by.

    Args:
        baseline: Requests without override that the baseline answered.
        leaked: Requests without override that an offloaded pod answered, in words.
        failed: Requests without override that were not answered with 200, by reason.
        overridden: Overridden requests that their deployment answered.
        misled: Overridden requests that another instance answered, in words.
        absent: Overridden requests that were answered with 503: their deployment had no Ready pod.
        broken: Overridden requests that were answered in another way, by reason.
    """

    baseline: int = 0
    leaked: list[str] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    overridden: int = 0
    misled: list[str] = field(default_factory=list)
    absent: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    _roles: dict[str, list[Role]] = field(default_factory=dict)

    @property
    def changes(self) -> list[Role]:
        """What live pods were before their labels changed."""
        return [role for roles in self._roles.values() for role in roles if role.until < math.inf]

    def born(self, pod: str, role: str) -> None:
        """Note a pod, and what it is from its beginning: the baseline's, or of a deployment."""
        self._roles[pod] = [Role(role, time.monotonic())]

    @asynccontextmanager
    async def becoming(self, pod: str, role: str) -> AsyncIterator[None]:
        """Note that a live pod becomes another's: it is either's until the context, the change, is left."""
        before = self._roles[pod][-1]
        self._roles[pod].append(Role(role, time.monotonic()))
        yield
        before.until = time.monotonic()

    def hear_baseline(self, answer: Answer) -> None:
        """Judge the answer to a request without override."""
        if answer.status != 200:
            self.failed[f"{answer.status}: {answer.body.strip()}"] += 1
        elif self._was(answer, BASELINE):
            self.baseline += 1
        else:
            self.leaked.append(self._described(answer))

    def hear_overridden(self, deployment: str, answer: Answer) -> None:
        """Judge the answer to a request that was overridden to a deployment."""
        if answer.status == _UNAVAILABLE:
            self.absent += 1
        elif answer.status != 200:
            self.broken[f"{answer.status}: {answer.body.strip()}"] += 1
        elif self._was(answer, deployment):
            self.overridden += 1
        else:
            self.misled.append(f"{self._described(answer)}, asked for {deployment}")

    def _was(self, answer: Answer, name: str) -> bool:
        """Say whether who answered is, or has been, what was asked for; note how late that was."""
        roles = self._roles.get(answer.body)
        if roles is None:
            return answer.body == name  # a pod that really runs: it says whose it is
        role = next((one for one in roles if one.name == name and one.since <= answer.answered), None)
        if role is not None:
            role.late = max(role.late, answer.asked - role.until)
        return role is not None

    def _described(self, answer: Answer) -> str:
        roles = self._roles.get(answer.body, [])
        known = ", ".join(f"{one.name} since {answer.asked - one.since:.3f} s" for one in roles)
        return f"answered by {answer.body} ({known})"


@asynccontextmanager
async def overridden(
    witness: Witness, ports: list[int], service: str, deployment: str, per_second: float
) -> AsyncIterator[None]:
    """Send overridden requests through each sidecar in the context."""
    connections = [Asking(port, service, deployment) for port in ports]
    async with load(connections, per_second, lambda answer: witness.hear_overridden(deployment, answer)):
        yield
