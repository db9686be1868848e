"""Why a second instance of a baseline may do harm, or may not start. Pure: from a workload to notes for people.

Invariant: each note has a reason that stands in the workload, and a remedy.
"""

from collections.abc import Iterator
from typing import Any, Final

from detour.kubernetes.objects import Json

_LEADER: Final = ("leader-elect", "leader_elect", "leaderelection")
_HAND_OVER: Final = "give the copy its own with --env or --command"


def reasons(source: Json) -> Iterator[str]:
    """Yield why a copy of a workload may do harm beside it, or may not start.

    Args:
        source: The workload, in the form of a Deployment.
    """
    spec = source["spec"]
    pod = spec["template"]["spec"]
    if (spec.get("strategy") or {}).get("type") == "Recreate":
        yield (
            "the baseline's strategy is Recreate, so it may not expect a second instance beside it:"
            " check what both would write or consume"
        )
    for one in pod.get("volumes") or ():
        if claim := one.get("persistentVolumeClaim"):
            yield (
                f"the copy shares the PersistentVolumeClaim {claim.get('claimName')} with the baseline: both may"
                " write to it, and a ReadWriteOnce volume keeps the copy on the baseline's node"
            )
    containers = [one for key in ("initContainers", "containers") for one in pod.get(key) or ()]
    for container in containers:
        yield from _of_container(container)
    for gate in pod.get("readinessGates") or ():
        yield (
            f"the copy is Ready only once a controller sets the condition {gate.get('conditionType')} of its pods:"
            " if none does that for copies, it never serves"
        )


def _of_container(container: Json) -> Iterator[str]:
    name = container.get("name")
    for port in container.get("ports") or ():
        if number := port.get("hostPort"):
            yield f"container {name} needs port {number} of its node: it cannot run on the baseline's node"
    if any(word in text.lower() for text in _texts(container) for word in _LEADER):
        yield f"container {name} takes part in a leader election: the copy may become the leader, so {_HAND_OVER}"


def _texts(container: Json) -> Iterator[str]:
    words: list[Any] = [*(container.get("command") or ()), *(container.get("args") or ())]
    yield from (str(word) for word in words)
    for variable in container.get("env") or ():
        if str(variable.get("value", "")).lower() not in {"false", "0", "no"}:
            yield str(variable.get("name"))
