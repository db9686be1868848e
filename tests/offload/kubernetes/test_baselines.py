"""Which workload is the baseline of a Service."""

from typing import Any

import pytest

from detour.offload.kubernetes.baselines import Owner, find_baseline, workloads
from detour.offload.kubernetes.errors import CannotCopyError

USERS: dict[str, Any] = {"metadata": {"name": "users"}, "spec": {"selector": {"app": "users"}}}


def workload(name: str, *, app: str = "users", owner: str = "", **spec: Any) -> dict[str, Any]:
    """Return a workload whose pods have a label."""
    metadata = {
        "name": name,
        "ownerReferences": [{"kind": "X", "name": owner, "controller": True}] if owner else None,
    }
    template = {"metadata": {"labels": {"app": app}}, "spec": {"containers": [], "volumes": [{"name": "config"}]}}
    return {"metadata": metadata, "spec": {"template": template, **spec}}


def chosen(
    deployments: list[dict[str, Any]], serving: dict[Owner, int] | None = None, choice: str = "", **others: Any
) -> str:
    """Return the kind and name of the baseline."""
    found = find_baseline(USERS, workloads(deployments, others), serving or {}, choice)
    return f"{found.kind}/{found.name}"


def test_the_workload_that_serves_is_the_baseline() -> None:
    """Even if another one, without pods, has the Service's name."""
    both = [workload("users"), workload("users-v2")]
    assert chosen(both, {("Deployment", "users-v2"): 2}) == "Deployment/users-v2"
    assert chosen(both, {("Deployment", "users"): 1, ("Deployment", "users-v2"): 9}) == "Deployment/users"
    assert chosen(both) == "Deployment/users"


def test_a_choice_counts_more_than_what_serves() -> None:
    """By name, or by kind and name."""
    both, sets = [workload("users"), workload("users-v2")], [workload("users-v2")]
    serving = {("Deployment", "users"): 1}
    assert chosen(both, serving, "users-v2") == "Deployment/users-v2"
    assert chosen(both, serving, "statefulset/users-v2", StatefulSet=sets) == "StatefulSet/users-v2"
    assert chosen(both, serving, "StatefulSets/users-v2", StatefulSet=sets) == "StatefulSet/users-v2"
    with pytest.raises(
        CannotCopyError, match=r"^--from users-v2 is ambiguous: say KIND/NAME, as in Deployment/users-v2$"
    ):
        chosen(both, serving, "users-v2", StatefulSet=sets)
    with pytest.raises(
        CannotCopyError, match=r"^no workload pay is behind Service users; behind it: users, users-v2$"
    ):
        chosen([*both, workload("pay", app="pay")], serving, "pay")
    with pytest.raises(CannotCopyError, match=r"^no workload a is behind Service users; behind it: none$"):
        chosen([], {}, "a")


def test_an_ambiguous_baseline_is_refused() -> None:
    """With all candidates, and how many of their pods serve."""
    three = [workload(f"users-v{n}") for n in (1, 2, 3)]
    serving = {("Deployment", "users-v1"): 1, ("Deployment", "users-v3"): 2}
    with pytest.raises(CannotCopyError, match=r"--from, of users-v1 \(1 ready\), users-v3 \(2 ready\)$"):
        chosen(three, serving)


def test_workloads_of_other_kinds_are_baselines_too() -> None:
    """Unless a controller manages them, such as the Deployment of a ReplicaSet."""
    assert chosen([], StatefulSet=[workload("db")]) == "StatefulSet/db"
    assert chosen([], DaemonSet=[workload("agent")]) == "DaemonSet/agent"
    owned = workload("users-abc", owner="users")
    assert chosen([workload("users")], ReplicaSet=[owned]) == "Deployment/users"
    assert chosen([], ReplicaSet=[owned, workload("bare")]) == "ReplicaSet/bare"


def test_a_rollout_may_have_the_template_of_a_deployment() -> None:
    """The Deployment is scaled to zero then; the Services of a Rollout select by a hash as well."""
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "users"}
    rollout = {"metadata": {"name": "users"}, "spec": {"workloadRef": reference}}
    serving = {("Rollout", "users"): 3}
    assert chosen([workload("users")], serving, Rollout=[rollout]) == "Rollout/users"
    assert chosen([workload("users")], serving, "deployment/users", Rollout=[rollout]) == "Deployment/users"
    stable = {
        "metadata": {"name": "users"},
        "spec": {"selector": {"app": "users", "rollouts-pod-template-hash": "7"}},
    }
    found = find_baseline(stable, workloads([], {"Rollout": [workload("users")]}), {})
    assert (found.kind, str(found)) == ("Rollout", "Rollout/users")
    dangling = {"metadata": {"name": "a"}, "spec": {"workloadRef": {**reference, "name": "b"}}}
    with pytest.raises(CannotCopyError, match="no Deployment is behind Service users, nor another workload"):
        chosen([], Rollout=[dangling])


def test_the_copy_of_a_stateful_set_has_volumes_of_its_own() -> None:
    """New ones of the same kind, which go with the pod."""
    claim = {
        "metadata": {"name": "data", "labels": {"a": "b"}, "creationTimestamp": None},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        "status": {"phase": "Pending"},
    }
    live = workload("users", volumeClaimTemplates=[claim], serviceName="users")
    found = find_baseline(USERS, workloads([], {"StatefulSet": [live]}), {})
    template = {"metadata": {"labels": {"a": "b"}}, "spec": claim["spec"]}
    assert found.source["spec"]["template"]["spec"]["volumes"] == [
        {"name": "config"},
        {"name": "data", "ephemeral": {"volumeClaimTemplate": template}},
    ]
    assert set(found.source["spec"]) == {"template"}
    assert live["spec"]["template"]["spec"]["volumes"] == [{"name": "config"}]
