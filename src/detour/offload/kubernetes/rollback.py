"""A deployment's way back to what worked before its last change. Pure: from objects to an object."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Final

from detour.kubernetes.labels import ROLL
from detour.kubernetes.objects import Json

_HASH: Final = "pod-template-hash"
_REVISION: Final = "deployment.kubernetes.io/revision"


def working_before(deployment: Json, replica_sets: Iterable[Json]) -> Json | None:
    """Find the newest ReplicaSet of an earlier roll that still has a pod Ready.

    Args:
        deployment: The whole Deployment.
        replica_sets: Its ReplicaSets, whole.
    """
    roll = deployment["metadata"]["annotations"].get(ROLL)
    before = [
        one
        for one in replica_sets
        if one["spec"]["template"]["metadata"].get("annotations", {}).get(ROLL) != roll
        and one.get("status", {}).get("readyReplicas", 0) > 0
    ]
    return max(before, key=_revision, default=None)


def rolled_back(deployment: Json, before: Json) -> Json:
    """Return a Deployment with the pods of one of its ReplicaSets."""
    template = deepcopy(before["spec"]["template"])
    template["metadata"].get("labels", {}).pop(_HASH, None)
    roll = template["metadata"].get("annotations", {}).get(ROLL, "")
    annotations = {**deployment["metadata"]["annotations"], ROLL: roll}
    return {
        **deployment,
        "metadata": {**deployment["metadata"], "annotations": annotations},
        "spec": {**deployment["spec"], "template": template},
    }


def _revision(one: Json) -> int:
    return int((one["metadata"].get("annotations") or {}).get(_REVISION, 0))
