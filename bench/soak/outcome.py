"""What happened to the requests of a run."""

from collections import Counter
from dataclasses import dataclass, field

_EXAMPLES_MAX = 20


@dataclass(slots=True)
class Outcome:
    """What happened.

    Args:
        sent: Requests that were answered, by client.
        wrong: How many were answered by other code than they named.
        failed: How many had no right answer.
        elsewhere: How many were refused during a restart, and retried.
        examples: What was wrong, in words, with how often.
        changes: Deployments that came or went, and edits of scenarios.
        restarts: Of each component.
    """

    sent: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    failed: int = 0
    elsewhere: int = 0
    examples: Counter[str] = field(default_factory=Counter)
    changes: int = 0
    restarts: Counter[str] = field(default_factory=Counter)

    def take(self, client: str, verdict: str) -> None:
        """Count one answer; an empty verdict is a right one."""
        self.sent[client] += 1
        if not verdict:
            return
        is_wrong = verdict.startswith("wrong code")
        self.wrong += is_wrong
        self.failed += not is_wrong
        example = f"{client}: {verdict}"
        if example in self.examples or len(self.examples) < _EXAMPLES_MAX:
            self.examples[example] += 1
