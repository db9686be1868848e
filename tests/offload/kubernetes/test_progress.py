"""How a copy is coming on, as its objects tell it."""

from typing import Any

import pytest

from detour.offload.kubernetes.progress import Progress, State, progress_of


def deployment(*conditions: dict[str, str], observed: int = 2) -> dict[str, Any]:
    """Return a Deployment of one pod."""
    return {
        "metadata": {"name": "users--pr-42", "generation": 2, "annotations": {"detour.dev/roll": "2"}},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": observed, "conditions": list(conditions)},
    }


def pod(
    state: dict[str, Any] | None = None, *, ready: bool = False, roll: str = "2", **more: Any
) -> dict[str, Any]:
    """Return its pod, with its container in a state."""
    status = {"name": "app", "image": "users:2", "state": state or {"running": {}}, "ready": ready, **more}
    return {
        "metadata": {"name": "users--pr-42-x", "annotations": {"detour.dev/roll": roll}},
        "spec": {"containers": [{"name": "app"}]},
        "status": {
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [status],
        },
    }


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    """Return the state of a container that waits."""
    return {"waiting": {"reason": reason, "message": message}}


def test_it_is_ready_when_its_newest_pods_are() -> None:
    """Those of the roll before do not count, nor does a status that is behind."""
    assert progress_of(deployment(), [pod(ready=True)], []) == Progress(State.READY, 1, 1, "1 of 1 Ready")
    assert progress_of(deployment(), [pod(ready=True, roll="1")], []).state == State.WAITING
    assert progress_of(deployment(observed=1), [pod(ready=True)], []).state == State.WAITING
    ending = pod(ready=True)
    ending["metadata"]["deletionTimestamp"] = "2030"
    assert progress_of(deployment(), [ending], []).state == State.WAITING


@pytest.mark.parametrize(
    ("one", "step"),
    [
        (None, "waiting for its pod"),
        (pod(), "0 of 1 Ready"),
        (pod(waiting("ContainerCreating")), "app: ContainerCreating"),
        (pod(waiting("ErrImagePull")), "app: pulling users:2 failed, trying again"),
        (pod(lastState={"terminated": {"exitCode": 3}}), "app: started again after exit status 3"),
    ],
)
def test_what_may_still_become_good_is_waited_for(one: dict[str, Any] | None, step: str) -> None:
    """With what is happening in words."""
    found = progress_of(deployment(), [one] if one else [], [])
    assert (found.state, found.step) == (State.WAITING, step)


def test_no_room_may_come() -> None:
    """Nodes can be added."""
    unscheduled = pod()
    unscheduled["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: no memory"}
    ]
    found = progress_of(deployment(), [unscheduled], [])
    assert (found.state, found.step) == (State.WAITING, "no room on any node: 0/3 nodes: no memory")


@pytest.mark.parametrize(
    ("one", "step", "failing"),
    [
        (pod(waiting("ImagePullBackOff", "not found")), "app: the image cannot be pulled (not found)", None),
        (pod(waiting("InvalidImageName")), "app: that is no name of an image (users:2)", None),
        (pod(waiting("CreateContainerConfigError", 'no secret "db"')), 'wrong (no secret "db")', None),
        (
            pod(waiting("CrashLoopBackOff"), lastState={"terminated": {"exitCode": 3}}),
            "app: the container ends again and again, last with exit status 3",
            ("users--pr-42-x", "app"),
        ),
    ],
)
def test_what_is_final_has_failed(one: dict[str, Any], step: str, failing: tuple[str, str] | None) -> None:
    """A container that ran has a log that tells more."""
    found = progress_of(deployment(), [one], [])
    assert found.state == State.FAILED
    assert step in found.step
    assert found.failing == failing


@pytest.mark.parametrize(
    ("condition", "step"),
    [
        (
            {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"},
            "refuses the pod: exceeded quota",
        ),
        (
            {
                "type": "Progressing",
                "status": "False",
                "reason": "ProgressDeadlineExceeded",
                "message": "timed out",
            },
            "it made no progress in time: timed out",
        ),
    ],
)
def test_a_pod_that_may_not_be_is_a_failure(condition: dict[str, str], step: str) -> None:
    """A quota, a policy, a webhook that refuses."""
    found = progress_of(deployment(condition), [], [])
    assert found.state == State.FAILED
    assert step in found.step


def test_kubernetes_is_quoted() -> None:
    """The last warnings about its own objects, in order."""

    def event(name: str, moment: str, kind: str = "Warning") -> dict[str, Any]:
        return {
            "metadata": {"creationTimestamp": moment},
            "type": kind,
            "reason": "Failed",
            "message": f"at\n {moment}",
            "involvedObject": {"name": name},
        }

    events = [
        event("users--pr-42-x", "2030-01-02"),
        event("users--pr-42", "2030-01-01"),
        event("another", "2030-01-03"),
        event("users--pr-42-x", "2030-01-04", "Normal"),
    ]
    assert progress_of(deployment(), [pod()], events).events == ("Failed: at 2030-01-01", "Failed: at 2030-01-02")
