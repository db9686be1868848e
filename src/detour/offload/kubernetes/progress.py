"""The progress of an offloaded deployment. Pure: from its objects to words for people.

Invariant: a final failure is reported at once, with its reason; a problem that may pass is not a failure.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from detour.kubernetes.labels import ROLL
from detour.kubernetes.views import Deployment
from detour.offload.kubernetes.objects import ContainerStatus, Event, Pod, Waiting

# Why a container waits (kubelet, "container state reasons") without hope of a start.
_FINAL: Final = {
    "ImagePullBackOff": "the image cannot be pulled",
    "InvalidImageName": "the image's name is invalid",
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
    """The progress of a deployment.

    Args:
        state: How far it has come.
        ready: The number of Ready pods of its newest version.
        wanted: The number of pods that it should have.
        step: The current step, or the failure, in a few words.
        events: Warnings of Kubernetes about it, the newest last.
        failing: The pod and container whose log shows more; None without such a log.
    """

    state: State
    ready: int
    wanted: int
    step: str
    events: tuple[str, ...] = ()
    failing: tuple[str, str] | None = None


def progress_of(deployment: Deployment, pods: Iterable[Pod], events: Iterable[Event]) -> Progress:
    """Judge a Deployment.

    Args:
        deployment: The Deployment.
        pods: Its pods, old ones too.
        events: The events of its namespace.
    """
    roll = deployment.metadata.annotation(ROLL)
    newest = [pod for pod in pods if pod.metadata.annotation(ROLL) == roll and not pod.is_ending]
    wanted = deployment.spec.replicas
    ready = sum(_is_ready(pod) for pod in newest)
    said = tuple(_said(deployment, newest, events))
    if deployment.is_observed and ready >= wanted:
        return Progress(State.READY, ready, wanted, f"{ready} of {wanted} Ready")
    for failure in _failures(deployment, newest):
        return Progress(State.FAILED, ready, wanted, failure.why, said, failure.container)
    return Progress(State.WAITING, ready, wanted, _step(newest, ready, wanted), said)


@dataclass(frozen=True, slots=True)
class _Failure:
    why: str
    container: tuple[str, str] | None = None


def _failures(deployment: Deployment, pods: Sequence[Pod]) -> Iterator[_Failure]:
    for condition in deployment.status.conditions or ():
        if condition.type == "ReplicaFailure" and condition.status == "True":
            yield _Failure(f"Kubernetes refuses the pod: {condition.message}")
    for pod in pods:
        for status in pod.statuses:
            waiting = status.waiting
            if waiting and (why := _FINAL.get(waiting.reason)):
                yield _Failure(_explained(status, waiting, why), _with_log(pod, status))
    for condition in deployment.status.conditions or ():
        if condition.reason == "ProgressDeadlineExceeded":
            yield _Failure(f"it made no progress in time: {condition.message}")


def _with_log(pod: Pod, status: ContainerStatus) -> tuple[str, str] | None:
    """Return the pod and the container if it has run: then its log shows more."""
    return (pod.metadata.name, status.name) if status.last_end else None


def _explained(status: ContainerStatus, waiting: Waiting, why: str) -> str:
    if waiting.reason == "CrashLoopBackOff" and status.last_end:
        return f"{status.name}: {why}, last with exit status {status.last_end.exit_code}"
    return f"{status.name}: {why} ({waiting.message or status.image})"


def _step(pods: Sequence[Pod], ready: int, wanted: int) -> str:
    """Return what the deployment waits for."""
    if not pods:
        return "waiting for its pod"
    for pod in pods:
        scheduled = pod.condition("PodScheduled")
        if scheduled and scheduled.status == "False":
            return f"no room on any node: {scheduled.message}"
        for status in pod.statuses:
            if step := _container_step(status):
                return step
    return f"{ready} of {wanted} Ready"


def _container_step(status: ContainerStatus) -> str:
    """Return what a container waits for; empty if it does not wait."""
    if status.waiting and status.waiting.reason == _PULLING:
        return f"{status.name}: pulling {status.image or 'the image'} failed, trying again"
    if status.waiting:
        return f"{status.name}: {status.waiting.reason or 'waiting'}"
    if status.last_end and not status.ready:
        return f"{status.name}: started again after exit status {status.last_end.exit_code}"
    return ""


def _said(deployment: Deployment, pods: Iterable[Pod], events: Iterable[Event]) -> Iterator[str]:
    """Yield the warnings of Kubernetes about a deployment's objects, oldest first."""
    names = {deployment.metadata.name, *(pod.metadata.name for pod in pods)}
    owned = [one for one in events if one.type == "Warning" and one.involved.name in names]
    for one in sorted(owned, key=lambda event: event.moment)[-_EVENTS_MAX:]:
        yield f"{one.reason}: {' '.join(one.message.split())}"


def _is_ready(pod: Pod) -> bool:
    condition = pod.condition("Ready")
    return condition is not None and condition.status == "True"
