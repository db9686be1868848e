"""Which service a pod belongs to."""

import random

import pytest

from detour.injection import SelectingService, service_of

USERS = SelectingService("users", {"app": "users"})


def pod(labels: dict[str, str] | None = None, **metadata: object) -> dict:
    """Return a pod as a ReplicaSet makes it."""
    hashed = {"pod-template-hash": "7d9f8c", **(labels or {})}
    return {"metadata": {"generateName": "web-7d9f8c-", "labels": hashed, **metadata}, "spec": {}}


@pytest.mark.parametrize(
    ("services", "name"),
    [
        ([USERS], "users"),
        ([SelectingService("api", {"role": "api"}), SelectingService("b", {"role": "b"})], "api"),
        ([SelectingService("backend", {"role": "api"}), SelectingService("web", {"role": "api"})], "web"),
        ([SelectingService("backend", {"role": "api"}), USERS], "users"),
        (
            [
                SelectingService("peers", {"role": "api"}, is_headless=True),
                SelectingService("backend", {"role": "api"}),
            ],
            "backend",
        ),
        (
            [SelectingService("backend-metrics", {"role": "api"}), SelectingService("backend", {"role": "api"})],
            "backend",
        ),
        ([SelectingService("b", {"role": "api"}), SelectingService("a", {"role": "api"})], "a"),
        ([SelectingService("all", {}), SelectingService("other", {"role": "other"})], "web"),
        ([], "web"),
    ],
)
def test_the_service_that_selects_the_pod_names_it(services: list[SelectingService], name: str) -> None:
    """Whatever the label `app` says; the order of the Services does not matter."""
    labels = {"app": "users", "role": "api"}
    for _ in range(3):
        random.Random(3).shuffle(services)
        assert service_of(pod(labels), services) == name


def test_a_pod_may_name_its_service_itself() -> None:
    """So do the pods of offloaded deployments, which no Service selects."""
    assert service_of(pod({"detour.dev/service": "pay", "app": "users"}), [USERS]) == "pay"


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"generateName": "users-7d9f8c-", "labels": {"pod-template-hash": "7d9f8c", "app": "x"}}, "users"),
        ({"generateName": "users-7d9f8c-"}, "users-7d9f8c"),
        ({"name": "db-0", "ownerReferences": [{"kind": "StatefulSet", "name": "db", "controller": True}]}, "db"),
        ({"name": "db-0", "ownerReferences": [{"kind": "Node", "name": "n"}]}, "db-0"),
        ({"name": "alone", "labels": {"app": "x", "app.kubernetes.io/name": "y"}}, "alone"),
        ({"name": "alone", "labels": None}, "alone"),
        ({"name": "alone-", "generateName": "", "labels": {"detour.dev/service": ""}}, "alone-"),
        ({"labels": {"detour.dev/service": 7}}, "7"),
        ({}, "unknown"),
        (None, "unknown"),
    ],
)
def test_without_a_service_the_workload_names_it(metadata: dict | None, name: str) -> None:
    """A Deployment's pods have the name of their ReplicaSet, with a hash."""
    assert service_of({"metadata": metadata, "spec": {}}) == name


@pytest.mark.parametrize(
    ("spec", "selects"),
    [
        ({"selector": {"app": "users"}}, True),
        ({"selector": {}}, False),
        ({}, False),
        ({"type": "ExternalName", "selector": {"app": "users"}}, False),
        ({"selector": {"app": "users", "track": "canary"}}, False),
        (7, False),
    ],
)
def test_services_are_read_as_kubernetes_reads_them(spec: object, selects: bool) -> None:
    """One without a selector, or an ExternalName, selects nothing."""
    read = SelectingService.of({"metadata": {"name": "users"}, "spec": spec})
    assert bool(read and read.selects({"app": "users"})) is selects


@pytest.mark.parametrize(("cluster_ip", "is_headless"), [("None", True), ("10.0.0.1", False), (None, False)])
def test_what_is_read_of_a_service(cluster_ip: str | None, is_headless: bool) -> None:
    """Its name, its selector, and whether it has an address of its own."""
    spec = {"selector": {"app": "users", "tier": 7}, "clusterIP": cluster_ip}
    assert SelectingService.of({"metadata": {"name": "users"}, "spec": spec}) == SelectingService(
        "users", {"app": "users", "tier": "7"}, is_headless
    )


@pytest.mark.parametrize(
    "label", ["app.kubernetes.io/name", "app.kubernetes.io/instance", "app", "k8s-app", "name"]
)
def test_usual_labels_choose_among_services(label: str) -> None:
    """The one with the label's value wins over a shorter name."""
    services = [SelectingService("a", {"role": "api"}), SelectingService("backend", {"role": "api"})]
    assert service_of(pod({"role": "api", label: "backend"}), services) == "backend"
    assert service_of(pod({"role": "api", f"x-{label}": "backend"}), services) == "a"
