"""A pod's status, from what its containers are in, as `pkg/kubelet/status/generate.go` has it.

Pure: it reads its arguments and the clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubernetes.cluster import node

from .api import Json
from .container import Container
from .events import now

Problem = tuple[str, str] | None  # why a condition is false: reason and message


@dataclass(frozen=True)
class Progress:
    """How far a pod is. `first` are its init containers; `address` is empty until it has a network."""

    pod: Json
    first: Sequence[Container]
    containers: Sequence[Container]
    address: str
    initialised: bool
    init_failed: bool
    begun: str


def pod_status(progress: Progress, before: Mapping[str, Json]) -> Json:
    """Return the status. `before` are the conditions written last, by type: the time of one that stays is kept."""
    phase = _phase(progress)
    problems = _problems(progress, ended=phase if phase in ("Succeeded", "Failed") else "")
    made: Json = {
        "phase": phase,
        "conditions": [_condition(kind, problem, before) for kind, problem in problems.items()],
        "hostIP": node.ADDRESS,
        "hostIPs": [{"ip": node.ADDRESS}],
        "startTime": progress.begun,
        "initContainerStatuses": [_init_status(each) for each in progress.first],
        "containerStatuses": [_clean(each.status()) for each in progress.containers],
    }
    if progress.address:
        made |= {"podIP": progress.address, "podIPs": [{"ip": progress.address}]}
    return made


def _phase(progress: Progress) -> str:
    if not progress.initialised:
        never = progress.pod["spec"].get("restartPolicy") == "Never"
        return "Failed" if never and progress.init_failed else "Pending"
    containers = progress.containers
    if all("terminated" in each.state for each in containers) and _stays_ended(progress):
        return "Succeeded" if _all_succeeded(containers) else "Failed"
    begun = [each for each in containers if "waiting" not in each.state or each.last]
    return "Running" if len(begun) == len(containers) else "Pending"


def _stays_ended(progress: Progress) -> bool:
    policy = progress.pod["spec"].get("restartPolicy", "Always")
    done = policy == "OnFailure" and _all_succeeded(progress.containers)
    return policy == "Never" or done or bool(progress.pod["metadata"].get("deletionTimestamp"))


def _all_succeeded(containers: Sequence[Container]) -> bool:
    return all(each.state["terminated"]["exitCode"] == 0 for each in containers)


def _problems(progress: Progress, ended: str) -> dict[str, Problem]:
    """Return, for each condition, why it is false, or None where it is true."""
    running = [*(each for each in progress.first if is_sidecar(each.spec)), *progress.containers]
    ready = (f"Pod{ended}".replace("Succeeded", "Completed"), "") if ended else _unready(running)
    incomplete = [each.name for each in progress.first if not _initialised(each)]
    waiting = ("ContainersNotInitialized", f"containers with incomplete status: [{' '.join(incomplete)}]")
    return {
        "PodReadyToStartContainers": None if progress.address else ("", ""),
        "Initialized": None if progress.initialised else waiting,
        "Ready": ready or _ungated(progress.pod),
        "ContainersReady": ready,
    }


def _ungated(pod: Json) -> Problem:
    known = {each["type"]: each["status"] for each in pod.get("status", {}).get("conditions") or []}
    gates = [each["conditionType"] for each in pod["spec"].get("readinessGates") or []]
    missing = [gate for gate in gates if known.get(gate) != "True"]
    if not missing:
        return None
    return "ReadinessGatesNotReady", f'the status of pod readiness gate "{missing[0]}" is not "True", but False'


def _unready(containers: Sequence[Container]) -> Problem:
    unready = [each.name for each in containers if not each.ready]
    return ("ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]") if unready else None


def _condition(kind: str, problem: Problem, before: Mapping[str, Json]) -> Json:
    value = "True" if problem is None else "False"
    last = before.get(kind, {})
    changed = now() if last.get("status") != value else last["lastTransitionTime"]
    reason, message = problem or ("", "")
    return {"type": kind, "status": value, "reason": reason, "message": message, "lastTransitionTime": changed}


def is_sidecar(spec: Json) -> bool:
    """Return whether an init container is a native sidecar."""
    return spec.get("restartPolicy") == "Always"


def _initialised(container: Container) -> bool:
    if is_sidecar(container.spec):
        return container.started.is_set()
    return bool(container.state.get("terminated", {}).get("exitCode") == 0)


def _init_status(container: Container) -> Json:
    made = _clean(container.status())
    if not is_sidecar(container.spec):
        made["ready"] = _initialised(container)
    return made


def _clean(status: Json) -> Json:
    """Running containers name themselves in `containerID` of the status alone."""
    state = {
        kind: {key: value for key, value in entry.items() if kind != "running" or key != "containerID"}
        for kind, entry in status["state"].items()
    }
    return {**status, "state": state}
