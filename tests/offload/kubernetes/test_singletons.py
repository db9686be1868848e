"""Why a second instance may do harm."""

from typing import Any

import pytest

from detour.offload.kubernetes.singletons import reasons
from offload.kubernetes.test_copying import baseline


def noted(container: dict[str, Any] | None = None, strategy: str = "", **pod: Any) -> list[str]:
    """Return the notes on a baseline with more in its pod and in its first container."""
    live = baseline(**({"strategy": {"type": strategy}} if strategy else {}))
    spec = live["spec"]["template"]["spec"]
    spec.update(pod)
    spec["containers"][0].update(container or {})
    return list(reasons(live))


def test_an_ordinary_baseline_has_no_notes() -> None:
    """Nor one that has all fields, empty."""
    assert noted() == []
    assert (
        noted({"ports": None, "args": None, "env": None}, "RollingUpdate", volumes=None, readinessGates=None) == []
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"strategy": "Recreate"}, "the baseline's strategy is Recreate"),
        (
            {"volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "data"}}]},
            "the copy shares the PersistentVolumeClaim data",
        ),
        ({"container": {"ports": [{"containerPort": 1}, {"hostPort": 9100}]}}, "container app needs port 9100"),
        ({"container": {"args": ["--leader-elect"]}}, "container app takes part in a leader election"),
        (
            {"container": {"env": [{"name": "LEADER_ELECTION", "value": "false"}], "args": ["--leader-elect"]}},
            "contain",
        ),
        ({"container": {"env": [{"name": "ENABLE_LEADER_ELECT", "value": "1"}]}}, "container app takes part"),
        ({"readinessGates": [{"conditionType": "a.test/b"}]}, "the copy is Ready only once a controller sets"),
    ],
)
def test_each_reason_is_noted_once(changes: dict[str, Any], words: str) -> None:
    """With what to do."""
    (note,) = noted(**changes)
    assert note.startswith(words)


def test_an_election_that_is_off_is_no_reason() -> None:
    """The variable is set, to false."""
    assert noted({"env": [{"name": "LEADER_ELECT", "value": "False"}]}) == []
