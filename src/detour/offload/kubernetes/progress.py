"""How an offloaded deployment is coming on. Pure: from its objects to words for people.

Invariant: what is final is told as failed at once, with its reason; what may still become good is not.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from detour.kubernetes.labels import ROLL

Json = dict[str, Any]

# Why a container waits (kubelet, "container state reasons"), and cannot be waited for any longer.
_FINAL: Final = {
    "ImagePullBackOff": "the image cannot be pulled",
    "InvalidImageName": "that is no name of an image",
    "ErrImageNeverPull": "the image is not on the node, and may not be pulled",
    "CreateContainerConfigError": "the container's configuration is wrong",
    "CreateContainerError": "the container cannot be made",
    "RunContainerError": "the container cannot be started",
    "CrashLoopBackOff": "the container ends again and again",
}
_PULLING: Final = "ErrImagePull"
_EVENTS_MAX: Final = 5


class State(StrEnum):
    """How far a deployment has come."""

    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Progress:
    """How a deployment is.

    Args:
        state: How far it has come.
        ready: How many of its pods, of its newest kind, are Ready.
        wanted: How many there are to be.
        step: What is happening, or what went wrong, in a few words.
        events: What Kubernetes says about it, the last at the end.
        failing: The pod and container whose log tells more; None if none does.
    """

    state: State
    ready: int
    wanted: int
    step: str
    events: tuple[str, ...] = ()
    failing: tuple[str, str] | None = None


def progress_of(deployment: Json, pods: Iterable[Json], events: Iterable[Json]) -> Progress:
    """Judge a Deployment.

    Args:
        deployment: The Deployment.
        pods: Its pods, old ones too.
        events: The events of its namespace.
    """
    roll = _annotation(deployment, ROLL)
    newest = [pod for pod in pods if _annotation(pod, ROLL) == roll and not _is_ending(pod)]
    wanted = deployment["spec"].get("replicas", 1)
    ready = sum(_condition(pod, "Ready").get("status") == "True" for pod in newest)
    said = tuple(_said(deployment, newest, events))
    observed = deployment.get("status", {}).get("observedGeneration", 0) >= deployment["metadata"].get(
        "generation", 0
    )
    if observed and ready >= wanted:
        return Progress(State.READY, ready, wanted, f"{ready} of {wanted} Ready")
    for failure in _failures(deployment, newest):
        return Progress(State.FAILED, ready, wanted, failure.why, said, failure.container)
    return Progress(State.WAITING, ready, wanted, _step(newest, ready, wanted), said)


@dataclass(frozen=True, slots=True)
class _Failure:
    why: str
    container: tuple[str, str] | None = None


def _failures(deployment: Json, pods: Sequence[Json]) -> Iterator[_Failure]:
    for condition in deployment.get("status", {}).get("conditions") or ():
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            yield _Failure(f"Kubernetes refuses the pod: {condition.get('message', '')}")
    for pod in pods:
        for status in _statuses(pod):
            waiting = status.get("state", {}).get("waiting") or {}
            if why := _FINAL.get(waiting.get("reason", "")):
                ran = bool(status.get("lastState", {}).get("terminated"))
                at = (pod["metadata"]["name"], status["name"]) if ran else None
                yield _Failure(_explained(status, waiting, why), at)
    for condition in deployment.get("status", {}).get("conditions") or ():
        if condition.get("reason") == "ProgressDeadlineExceeded":
            yield _Failure(f"it made no progress in time: {condition.get('message', '')}")


def _explained(status: Json, waiting: Json, why: str) -> str:
    ended = status.get("lastState", {}).get("terminated") or {}
    if waiting["reason"] == "CrashLoopBackOff" and ended:
        return f"{status['name']}: {why}, last with exit status {ended.get('exitCode')}"
    return f"{status['name']}: {why} ({waiting.get('message') or status.get('image', '')})"


def _step(pods: Sequence[Json], ready: int, wanted: int) -> str:
    """Say what is being waited for."""
    if not pods:
        return "waiting for its pod"
    for pod in pods:
        scheduled = _condition(pod, "PodScheduled")
        if scheduled.get("status") == "False":
            return f"no room on any node: {scheduled.get('message', '')}"
        for status in _statuses(pod):
            waiting = status.get("state", {}).get("waiting") or {}
            if waiting.get("reason") == _PULLING:
                return f"{status['name']}: pulling {status.get('image', 'the image')} failed, trying again"
            if waiting:
                return f"{status['name']}: {waiting.get('reason', 'waiting')}"
            ended = status.get("lastState", {}).get("terminated")
            if ended and not status.get("ready"):
                return f"{status['name']}: started again after exit status {ended.get('exitCode')}"
    return f"{ready} of {wanted} Ready"


def _said(deployment: Json, pods: Iterable[Json], events: Iterable[Json]) -> Iterator[str]:
    """Quote what Kubernetes has said about a deployment's objects: warnings, oldest first."""
    names = {deployment["metadata"]["name"], *(pod["metadata"]["name"] for pod in pods)}
    owned = [
        one
        for one in events
        if one.get("type") == "Warning" and one.get("involvedObject", {}).get("name", "") in names
    ]
    for one in sorted(owned, key=_moment)[-_EVENTS_MAX:]:
        yield f"{one.get('reason', '')}: {' '.join(one.get('message', '').split())}"


def _moment(event: Json) -> str:
    metadata = event["metadata"]
    return str(event.get("lastTimestamp") or event.get("eventTime") or metadata.get("creationTimestamp") or "")


def _statuses(pod: Json) -> list[Json]:
    status: Mapping[str, Any] = pod.get("status", {})
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def _condition(pod: Json, kind: str) -> Json:
    conditions = pod.get("status", {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == kind), {})


def _annotation(one: Json, name: str) -> str:
    return str((one["metadata"].get("annotations") or {}).get(name, ""))


def _is_ending(pod: Json) -> bool:
    return pod["metadata"].get("deletionTimestamp") is not None
