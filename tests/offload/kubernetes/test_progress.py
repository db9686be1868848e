"""The progress of a copy, from its objects."""

from typing import Any

import msgspec
import pytest

from detour.kubernetes.views import Deployment
from detour.offload.kubernetes import progress
from detour.offload.kubernetes.objects import Event, Pod
from detour.offload.kubernetes.progress import Progress, State


def progress_of(deployment: dict[str, Any], pods: list[dict[str, Any]], events: list[dict[str, Any]]) -> Progress:
    """Judge objects as the API server sends them."""
    read = msgspec.convert
    return progress.progress_of(read(deployment, Deployment), read(pods, list[Pod]), read(events, list[Event]))


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
    """Pods of an earlier roll and an outdated status are ignored."""
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
        (pod(waiting("InvalidImageName")), "app: the image's name is invalid (users:2)", None),
        (pod(waiting("CreateContainerConfigError", 'no secret "db"')), 'wrong (no secret "db")', None),
        (
            pod(waiting("CrashLoopBackOff"), lastState={"terminated": {"exitCode": 3}}),
            "app: the container ends again and again, last with exit status 3",
            ("users--pr-42-x", "app"),
        ),
    ],
)
def test_what_is_final_has_failed(one: dict[str, Any], step: str, failing: tuple[str, str] | None) -> None:
    """A container that ran has a log that shows more."""
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


FINAL = {
    "ImagePullBackOff": "app: the image cannot be pulled (because)",
    "InvalidImageName": "app: the image's name is invalid (because)",
    "ErrImageNeverPull": "app: the image is not on the node, and may not be pulled (because)",
    "CreateContainerConfigError": "app: the container's configuration is wrong (because)",
    "CreateContainerError": "app: the container cannot be made (because)",
    "RunContainerError": "app: the container cannot be started (because)",
    "CrashLoopBackOff": "app: the container ends again and again (because)",
}


@pytest.mark.parametrize(("reason", "step"), FINAL.items())
def test_each_reason_that_is_final(reason: str, step: str) -> None:
    """In the kubelet's own words, after ours; a container that never ran has no log."""
    found = progress_of(deployment(), [pod(waiting(reason, "because"))], [])
    assert found == Progress(State.FAILED, 0, 1, step)
    ran = pod(waiting(reason, "because"), lastState={"terminated": {"exitCode": 0}})
    again = "app: the container ends again and again, last with exit status 0"
    then = again if reason == "CrashLoopBackOff" else step
    assert progress_of(deployment(), [ran], []) == Progress(
        State.FAILED, 0, 1, then, failing=("users--pr-42-x", "app")
    )


def test_states_have_the_names_that_clients_know() -> None:
    """The API reports them."""
    assert [str(one) for one in State] == ["waiting", "ready", "failed"]


def test_failures_of_containers_without_an_image_or_a_message() -> None:
    """What is not said is left out."""
    one = pod()
    one["status"]["containerStatuses"] = [{"name": "app", "state": waiting("InvalidImageName")}]
    assert progress_of(deployment(), [one], []).step == "app: the image's name is invalid ()"
    one["status"]["conditions"] = [{"type": "PodScheduled", "status": "False"}]
    del one["status"]["containerStatuses"]
    assert progress_of(deployment(), [one], []).step == "no room on any node: "


def with_init(one: dict[str, Any], *statuses: dict[str, Any]) -> dict[str, Any]:
    """Return a pod with init containers in these states."""
    one["status"]["initContainerStatuses"] = list(statuses)
    return one


def init(name: str, state: dict[str, Any], *, ready: bool = False, **more: Any) -> dict[str, Any]:
    """Return the status of an init container."""
    return {"name": name, "image": f"{name}:1", "state": state, "ready": ready, **more}


DONE = {"terminated": {"exitCode": 0, "reason": "Completed"}}
CRASHED = {"terminated": {"exitCode": 2, "reason": "Error"}}


def test_an_init_container_that_crashes_has_failed() -> None:
    """Also the second one, while the containers wait for it; its log shows more."""
    one = with_init(
        pod(waiting("PodInitializing")),
        init("copy", DONE, ready=True),
        init("migrate", waiting("CrashLoopBackOff"), lastState=CRASHED),
    )
    found = progress_of(deployment(), [one], [])
    assert found == Progress(
        State.FAILED,
        0,
        1,
        "migrate: the container ends again and again, last with exit status 2",
        failing=("users--pr-42-x", "migrate"),
    )


def test_an_init_container_whose_image_is_missing_has_failed() -> None:
    """Before any container runs."""
    one = with_init(pod(waiting("PodInitializing")), init("migrate", waiting("ImagePullBackOff")))
    found = progress_of(deployment(), [one], [])
    assert (found.state, found.step) == (State.FAILED, "migrate: the image cannot be pulled (migrate:1)")
    assert found.failing is None


@pytest.mark.parametrize(
    ("statuses", "step"),
    [
        ([init("migrate", {"running": {}})], "app: PodInitializing"),
        ([init("migrate", waiting("ErrImagePull"))], "migrate: pulling migrate:1 failed, trying again"),
        ([init("migrate", {"running": {}}, lastState=CRASHED)], "migrate: started again after exit status 2"),
        ([init("migrate", DONE, ready=True, lastState=CRASHED)], "app: PodInitializing"),
        ([init("copy", DONE, ready=True), init("migrate", waiting("PodInitializing"))], "migrate: PodInitializing"),
    ],
)
def test_an_init_container_may_still_get_there(statuses: list[dict[str, Any]], step: str) -> None:
    """What it did before it succeeded no longer matters."""
    found = progress_of(deployment(), [with_init(pod(waiting("PodInitializing")), *statuses)], [])
    assert (found.state, found.step) == (State.WAITING, step)


def three(*ready: bool, replicas: int = 3) -> Progress:
    """Judge a Deployment of several pods, where some are Ready."""
    pods = [pod(ready=one) for one in ready]
    for number, one in enumerate(pods):
        one["metadata"]["name"] = f"users--pr-42-{number}"
    wanted = deployment()
    wanted["spec"]["replicas"] = replicas
    return progress_of(wanted, pods, [])


def test_some_of_several_pods_are_not_enough() -> None:
    """Only when as many are Ready as there are to be."""
    assert three(True, False, False) == Progress(State.WAITING, 1, 3, "1 of 3 Ready")
    assert three(True, True, False) == Progress(State.WAITING, 2, 3, "2 of 3 Ready")
    assert three(True, True) == Progress(State.WAITING, 2, 3, "2 of 3 Ready")
    assert three(True, True, True) == Progress(State.READY, 3, 3, "3 of 3 Ready")
    assert three(True, True, True, True) == Progress(State.READY, 4, 3, "4 of 3 Ready")
    assert three(replicas=0) == Progress(State.READY, 0, 0, "0 of 0 Ready")


def test_one_of_several_pods_that_fails_is_named() -> None:
    """Though the others are Ready."""
    wanted = deployment()
    wanted["spec"]["replicas"] = 2
    failing = pod(waiting("CrashLoopBackOff"), lastState=CRASHED)
    failing["metadata"]["name"] = "users--pr-42-y"
    found = progress_of(wanted, [pod(ready=True), failing], [])
    assert (found.state, found.ready, found.failing) == (State.FAILED, 1, ("users--pr-42-y", "app"))


def test_the_pods_of_before_say_nothing() -> None:
    """Neither those of another roll that fail, nor those that end."""
    failing = waiting("CrashLoopBackOff")
    ending = pod(failing)
    ending["metadata"]["deletionTimestamp"] = "2030"
    for one in (pod(failing, roll="1"), ending):
        assert progress_of(deployment(), [one], []) == Progress(State.WAITING, 0, 1, "waiting for its pod")
        assert progress_of(deployment(), [one, pod(ready=True)], []).state == State.READY


def test_objects_that_have_just_been_made_say_little() -> None:
    """Neither status, conditions, annotations, labels nor replicas need be there, or they are null."""
    bare = {"metadata": {"name": "users--pr-42"}, "spec": {}}
    assert progress_of(bare, [], []) == Progress(State.WAITING, 0, 1, "waiting for its pod")
    assert progress_of({**bare, "spec": {"replicas": 0}}, [], []).state == State.READY
    with_generation = {"metadata": {"name": "users--pr-42", "generation": 1}, "spec": {"replicas": 0}}
    assert progress_of(with_generation, [], []).state == State.WAITING
    without: list[dict[str, Any]] = [
        {"metadata": {"name": "a"}},
        {"metadata": {"name": "a", "annotations": None}, "status": {}},
        {"metadata": {"name": "a"}, "status": {"conditions": None, "containerStatuses": None}},
        {"metadata": {"name": "a"}, "status": {"conditions": [], "initContainerStatuses": None}},
    ]
    for one in without:
        assert progress_of(bare, [one], []) == Progress(State.WAITING, 0, 1, "0 of 1 Ready")
    for status in ({}, {"conditions": None}, {"conditions": []}):
        assert progress_of({**bare, "status": status}, [], []).state == State.WAITING


@pytest.mark.parametrize(
    ("status", "step"),
    [
        ({"state": {"waiting": {}}}, "0 of 1 Ready"),
        ({"state": {"waiting": {"message": "soon"}}}, "app: waiting"),
        ({"state": {}}, "0 of 1 Ready"),
        ({}, "0 of 1 Ready"),
        ({"state": {"waiting": {"reason": "ErrImagePull"}}}, "app: pulling the image failed, trying again"),
        ({"lastState": {}, "state": {"running": {}}}, "0 of 1 Ready"),
        ({"lastState": {"terminated": {"exitCode": 0}}}, "app: started again after exit status 0"),
        ({"lastState": {"terminated": {"exitCode": 3}}, "ready": True}, "0 of 1 Ready"),
    ],
)
def test_statuses_that_lack_something(status: dict[str, Any], step: str) -> None:
    """What is left out is not made up."""
    one = pod()
    one["status"]["containerStatuses"] = [{"name": "app", **status}]
    assert progress_of(deployment(), [one], []) == Progress(State.WAITING, 0, 1, step)


@pytest.mark.parametrize(
    ("conditions", "is_ready"),
    [
        ([{"type": "Ready", "status": "True"}], True),
        ([{"type": "Ready", "status": "False"}], False),
        ([{"type": "Ready", "status": "Unknown"}], False),
        ([{"type": "ContainersReady", "status": "True"}], False),
        ([{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}], True),
        ([{"type": "Ready"}], False),
    ],
)
def test_which_condition_counts(conditions: list[dict[str, str]], is_ready: bool) -> None:
    """That of the pod, by its type and status."""
    one = pod()
    one["status"]["conditions"] = conditions
    assert progress_of(deployment(), [one], []).ready == is_ready


@pytest.mark.parametrize(
    "condition",
    [
        {"type": "ReplicaFailure", "status": "False", "message": "over"},
        {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable"},
        {"type": "Available", "status": "True"},
        {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"},
    ],
)
def test_conditions_that_are_no_failure(condition: dict[str, str]) -> None:
    """Most of them are said of every Deployment that comes on well."""
    assert progress_of(deployment(condition), [], []).state == State.WAITING


def test_failures_say_little_where_kubernetes_does() -> None:
    """A message may be missing; and what refuses the pod is named before what became of it."""
    refused = {"type": "ReplicaFailure", "status": "True"}
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    assert progress_of(deployment(refused), [], []) == Progress(State.FAILED, 0, 1, "Kubernetes refuses the pod: ")
    assert progress_of(deployment(late), [], []) == Progress(State.FAILED, 0, 1, "it made no progress in time: ")
    failing = pod(waiting("InvalidImageName"))
    assert progress_of(deployment(late, refused), [failing], []).step == "Kubernetes refuses the pod: "
    assert progress_of(deployment(late), [failing], []).step == "app: the image's name is invalid (users:2)"


def test_a_ready_copy_has_not_failed() -> None:
    """Whatever was wrong before."""
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    assert progress_of(deployment(late), [pod(ready=True)], []) == Progress(State.READY, 1, 1, "1 of 1 Ready")


def test_a_status_that_is_behind_is_waited_for() -> None:
    """And one that is ahead of the generation does not delay it."""
    assert progress_of(deployment(observed=3), [pod(ready=True)], []).state == State.READY
    behind = deployment()
    del behind["status"]["observedGeneration"]
    assert progress_of(behind, [pod(ready=True)], []).state == State.WAITING


def test_five_warnings_are_quoted_and_the_last_stays_last() -> None:
    """In order of when they last came; what has no time, reason or message is quoted all the same."""

    def warning(message: str, **when: Any) -> dict[str, Any]:
        times = {key: value for key, value in when.items() if key != "created"}
        metadata = {"creationTimestamp": when["created"]} if "created" in when else {}
        involved = {"involvedObject": {"name": "users--pr-42"}}
        return {"metadata": metadata, "type": "Warning", "reason": "Late", "message": message, **involved, **times}

    events = [
        warning("sixth", lastTimestamp="2030-01-06", created="2030-01-01"),
        warning("fourth", lastTimestamp=None, eventTime="2030-01-04", created="2030-01-01"),
        warning("third", eventTime=None, created="2030-01-03"),
        warning("second", lastTimestamp="2030-01-02", eventTime="2030-01-09"),
        warning("first"),
        warning("fifth", created="2030-01-05"),
    ]
    found = progress_of(deployment(), [], events).events
    assert found == ("Late: second", "Late: third", "Late: fourth", "Late: fifth", "Late: sixth")
    bare = {"metadata": {}, "type": "Warning", "involvedObject": {"name": "users--pr-42"}}
    assert progress_of(deployment(), [], [bare]).events == (": ",)
    others: list[dict[str, Any]] = [
        {"metadata": {}, "type": "Warning", "involvedObject": {}},
        {"metadata": {}, "type": "Warning"},
        {"metadata": {}, "involvedObject": {"name": "users--pr-42"}},
    ]
    assert progress_of(deployment(), [], others).events == ()


def test_warnings_about_pods_of_before_are_not_quoted() -> None:
    """They are not about what is being waited for; a deployment that is Ready quotes nothing."""
    old = pod(roll="1")
    old["metadata"]["name"] = "users--pr-42-old"
    warning = {"metadata": {}, "type": "Warning", "reason": "BackOff", "message": "old"}
    events = [{**warning, "involvedObject": {"name": name}} for name in ("users--pr-42-old", "users--pr-42-x")]
    assert progress_of(deployment(), [old, pod()], events).events == ("BackOff: old",)
    assert progress_of(deployment(), [pod(ready=True)], events).events == ()
    failed = progress_of(deployment(), [pod(waiting("InvalidImageName"))], events)
    assert (failed.state, failed.events) == (State.FAILED, ("BackOff: old",))
