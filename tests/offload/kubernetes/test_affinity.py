"""Required anti-affinity leaves no copy without a node."""

from copy import deepcopy
from typing import Any

from detour.offload.kubernetes.affinity import required_by
from detour.offload.kubernetes.copying import make_copy
from detour.offload.kubernetes.selectors import equals
from offload.kubernetes.test_copying import WANTED, baseline

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
TERM = {"labelSelector": {"matchLabels": {"tier": "backend"}}, "topologyKey": "kubernetes.io/hostname"}


def apart(**rules: Any) -> dict[str, Any]:
    """Return a Deployment with anti-affinity."""
    live = baseline()
    live["spec"]["template"]["spec"]["affinity"] = {"nodeAffinity": {"a": 1}, "podAntiAffinity": rules}
    return live


def test_what_the_baseline_requires_the_copy_prefers() -> None:
    """After its own preferences; the rest stays."""
    other = {"weight": 1, "podAffinityTerm": TERM}
    live = apart(**{REQUIRED: [TERM], PREFERRED: [other]})
    before = deepcopy(live)
    made = make_copy(live, [], WANTED).deployment["spec"]["template"]["spec"]["affinity"]
    assert made == {
        "nodeAffinity": {"a": 1},
        "podAntiAffinity": {PREFERRED: [other, {"weight": 100, "podAffinityTerm": TERM}]},
    }
    assert live == before


def test_the_copy_avoids_what_other_pods_require() -> None:
    """The scheduler checks both directions."""
    live = apart(**{REQUIRED: [TERM, {"topologyKey": "zone"}]})
    selections = required_by("Deployment", [live, baseline(), {"metadata": {"name": "rollout"}, "spec": {}}])
    (selection,) = selections
    assert str(selection) == "anti-affinity of Deployment users"
    assert selection.selector == equals({"tier": "backend"})
    labels = make_copy(live, selections, WANTED).deployment["spec"]["template"]["metadata"]["labels"]
    assert (labels["app"], labels["tier"]) == ("users", "backend--pr-42")
