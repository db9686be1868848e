"""Copies among the objects that select the baseline: real API server, real controllers, pods that run."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from detour.kubernetes.api import Api
from detour.kubernetes.config import cluster_config
from detour.mesh import Naming
from detour.offload.kubernetes.cluster import ClusterDeployments
from detour.offload.kubernetes.copying import Wanted
from detour.offload.kubernetes.progress import State
from kubernetes.cluster import Cluster
from kubernetes.shop import DEADLINE_SECONDS, REGISTRY, put_images

Json = dict[str, Any]


@dataclass
class Place:
    """A namespace, and its copies."""

    namespace: str
    http: httpx.Client
    copies: ClusterDeployments

    def path(self, group: str, plural: str) -> str:
        """Return where objects of a kind are."""
        root = f"/apis/{group}" if "/" in group else f"/api/{group}"
        return f"{root}/namespaces/{self.namespace}/{plural}"

    def make(self, group: str, plural: str, kind: str, name: str, spec: Json, **metadata: Any) -> Json:
        """Create an object."""
        body = {"apiVersion": group, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}
        answer = self.http.post(self.path(group, plural), json=body)
        assert answer.is_success, answer.text
        found: Json = answer.json()
        return found

    def get(self, group: str, plural: str, name: str = "", **query: str) -> Any:
        """Read an object, or a list."""
        path = self.path(group, plural) + (f"/{name}" if name else "")
        answer = self.http.get(path, params=query)
        assert answer.is_success, answer.text
        return answer.json()

    def users(self, labels: dict[str, str], selects: dict[str, str], replicas: int = 1, **spec: Any) -> None:
        """Create a Deployment whose pods have labels, and select them by some of these."""
        probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
        app = {"name": "app", "image": f"{REGISTRY}:1", "readinessProbe": probe}
        template = {
            "metadata": {"labels": labels},
            "spec": {"containers": [app], "terminationGracePeriodSeconds": 1},
        }
        wanted = {"replicas": replicas, "selector": {"matchLabels": selects}, "template": template, **spec}
        self.make("apps/v1", "deployments", "Deployment", "users", wanted)

    def service(self, name: str, selector: dict[str, str]) -> None:
        """Create a Service."""
        ports = [{"name": "http", "port": 80, "targetPort": 8080}]
        self.make("v1", "services", "Service", name, {"selector": selector, "ports": ports})

    async def copy(self, service: str = "users", name: str = "pr-42", **wanted: Any) -> list[str]:
        """Create a copy, and wait until it is Ready; return the notes."""
        expires = datetime.now(UTC) + timedelta(hours=1)
        notes = await self.copies.create(Wanted(service, name, f"{REGISTRY}:2", "ana", expires, "", **wanted))
        await self.ready(service, name)
        return list(notes)

    async def ready(self, service: str = "users", name: str = "pr-42") -> None:
        """Wait until a copy is Ready."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (progress := await self.copies.progress(service, name)) and progress.state is not State.READY:
            assert progress.state is State.WAITING, progress
            assert time.monotonic() < deadline, progress
            await asyncio.sleep(0.05)

    async def until(self, holds: Callable[[], object]) -> Any:
        """Wait until something is so, and return it."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not (found := holds()):
            assert time.monotonic() < deadline, "it did not come"
            await asyncio.sleep(0.05)
        return found


@pytest.fixture
async def place(cluster: Cluster, namespace: str) -> AsyncIterator[Place]:
    """Give a namespace, with the images of users."""
    put_images(cluster)
    api = Api(cluster_config(str(cluster.kubeconfig)))
    with cluster.http() as http:
        yield Place(namespace, http, ClusterDeployments(api, Naming(home=namespace)))
    await api.close()


async def test_what_counts_the_baseline_does_not_count_the_copy(place: Place) -> None:
    """The Deployment and its budget select by one label, the Service by another; the only pod stays protected."""
    place.service("users", {"role": "api"})
    place.users({"app": "users", "role": "api"}, {"app": "users"})
    budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "users"}}}
    place.make("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", "users", budget)
    of_copies = {"minAvailable": 0, "selector": {"matchLabels": {"detour.dev/offloaded": "pr-42"}}}
    place.make("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", "copies", of_copies)
    assert await place.copy() == []

    def healthy(name: str) -> int:
        status = place.get("policy/v1", "poddisruptionbudgets", name).get("status", {})
        return int(status.get("currentHealthy", 0))

    await place.until(lambda: healthy("users") >= 1 and healthy("copies") == 1)
    assert healthy("users") == 1
    # An autoscaler averages over the pods that the target's scale selects (autoscaling/v1, ScaleStatus).
    selector = place.get("apps/v1", "deployments", "users/scale")["status"]["selector"]
    (pod,) = place.get("v1", "pods", labelSelector=selector)["items"]
    name = pod["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    answer = place.http.post(place.path("v1", f"pods/{name}/eviction"), json=eviction)
    assert answer.status_code == 429, answer.text


async def test_a_budget_of_all_pods_is_noted(place: Place) -> None:
    """No label prevents that; the note says what does."""
    place.service("users", {"app": "users"})
    place.users({"app": "users"}, {"app": "users"})
    everything = {"minAvailable": 1, "selector": {}}
    place.make("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", "all", everything)
    (note,) = await place.copy()
    assert note.startswith("PodDisruptionBudget all selects the copy's pods too")
    assert "detour.dev/offloaded DoesNotExist" in note


async def test_kinds_that_the_server_may_not_read_are_noted(cluster: Cluster, place: Place) -> None:
    """The copy is made all the same; each note names the missing right."""
    place.service("users", {"app": "users"})
    place.users({"app": "users"}, {"app": "users"})
    rules = [
        {"apiGroups": ["", "discovery.k8s.io"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": ["apps"], "resources": ["deployments", "replicasets", "statefulsets"], "verbs": ["*"]},
        {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": ["list"]},
    ]
    group = "rbac.authorization.k8s.io/v1"
    role = {"apiVersion": group, "kind": "Role", "metadata": {"name": "some"}, "rules": rules}
    subjects = [{"kind": "ServiceAccount", "name": "default", "namespace": place.namespace}]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "some"}
    binding = {**role, "kind": "RoleBinding", "roleRef": reference, "subjects": subjects}
    for plural, body in (("roles", role), ("rolebindings", binding)):
        assert place.http.post(place.path(group, plural), json=body).is_success
    api = Api(cluster_config(str(cluster.kubeconfig_for(place.namespace, "default"))))
    place.copies = ClusterDeployments(api, Naming(home=place.namespace))
    notes = await place.copy()
    await api.close()
    assert [note.partition(" in namespace")[0] for note in notes] == [
        "the server may not read DaemonSets",
        "the server may not read NetworkPolicies",
        "the server may not read PodDisruptionBudgets",
        "the server may not read PodMonitors",
        "the server may not read Rollouts",
    ]
    assert all(note.endswith("give its ServiceAccount that right") for note in notes)


async def test_a_slow_rollout_of_the_baseline_does_not_slow_the_copy(place: Place) -> None:
    """Kubernetes refuses a deadline that is not longer than `minReadySeconds`."""
    place.service("users", {"app": "users"})
    slow = {"minReadySeconds": 2**31 - 2, "progressDeadlineSeconds": 2**31 - 1, "strategy": {"type": "Recreate"}}
    place.users({"app": "users"}, {"app": "users"}, **slow)
    (note,) = await place.copy()
    assert note.startswith("the baseline's strategy is Recreate")
    spec = place.get("apps/v1", "deployments", "users--pr-42")["spec"]
    assert (spec.get("minReadySeconds", 0), spec["progressDeadlineSeconds"]) == (0, 600)


async def test_the_workload_that_serves_is_copied(place: Place) -> None:
    """Of a StatefulSet beside a Deployment of the Service's name that has no pods; another one can be chosen."""
    place.service("users", {"app": "users"})
    place.users({"app": "users"}, {"app": "users"}, replicas=0)
    deployment = place.get("apps/v1", "deployments", "users")
    template = {
        "metadata": {"labels": {"app": "users", "kind": "set"}},
        "spec": deployment["spec"]["template"]["spec"],
    }
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": {"kind": "set"}},
        "template": template,
        "serviceName": "users",
    }
    place.make("apps/v1", "statefulsets", "StatefulSet", "users-set", spec)

    def serves() -> bool:
        slices = place.get("discovery.k8s.io/v1", "endpointslices")["items"]
        return any(one["conditions"]["ready"] for part in slices for one in part["endpoints"] or ())

    await place.until(serves)
    await place.copy()
    copy = place.get("apps/v1", "deployments", "users--pr-42")
    assert copy["metadata"]["annotations"]["detour.dev/copy-of"] == "StatefulSet/users-set"
    await place.copy(name="pr-43", baseline="deployment/users")
    copy = place.get("apps/v1", "deployments", "users--pr-43")
    assert copy["metadata"]["annotations"]["detour.dev/copy-of"] == "users"


async def test_the_volumes_of_a_stateful_set_are_accepted(place: Place) -> None:
    """As generic ephemeral volumes, by the real API server."""
    place.service("db", {"app": "db"})
    container = {"name": "app", "image": f"{REGISTRY}:1", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    template = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [container]}}
    storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claims = [{"metadata": {"name": "data"}, "spec": storage}]
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "db"}}, "template": template, "serviceName": "db"}
    place.make("apps/v1", "statefulsets", "StatefulSet", "db", {**spec, "volumeClaimTemplates": claims})
    expires = datetime.now(UTC) + timedelta(hours=1)
    await place.copies.create(Wanted("db", "pr-42", f"{REGISTRY}:2", "ana", expires, ""))
    copy = place.get("apps/v1", "deployments", "db--pr-42")["spec"]["template"]["spec"]
    assert copy["volumes"][0]["ephemeral"]["volumeClaimTemplate"]["spec"]["accessModes"] == ["ReadWriteOnce"]


async def test_policies_of_the_baseline_restrict_the_copy(place: Place) -> None:
    """They exist before its pods, and go with it; policies of others that would have to change are named."""
    place.service("users", {"app": "users"})
    place.users({"app": "users"}, {"app": "users"})
    rules = {"podSelector": {"matchLabels": {"app": "users"}}, "policyTypes": ["Egress"], "egress": []}
    group, plural = "networking.k8s.io/v1", "networkpolicies"
    place.make(group, plural, "NetworkPolicy", "no-egress", rules)
    admits = [{"from": [{"podSelector": {"matchLabels": {"app": "users"}}}]}]
    place.make(
        group, plural, "NetworkPolicy", "db", {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": admits}
    )
    place.make(group, plural, "NetworkPolicy", "all", {"podSelector": {}, "policyTypes": ["Ingress"]})
    (note,) = await place.copy()
    assert note.startswith("NetworkPolicy db admits the baseline and not the copy (ingress): add a peer")

    def twins() -> list[Json]:
        found: list[Json] = place.get(group, plural, labelSelector="detour.dev/offloaded=pr-42")["items"]
        return found

    (twin,) = twins()
    marks = {"detour.dev/offloaded": "pr-42", "detour.dev/service": "users"}
    assert twin["metadata"]["name"] == "users--pr-42--no-egress"
    assert (twin["spec"]["podSelector"], twin["spec"]["policyTypes"]) == ({"matchLabels": marks}, ["Egress"])
    (pod,) = place.get("v1", "pods", labelSelector="detour.dev/offloaded=pr-42")["items"]
    assert twin["metadata"]["creationTimestamp"] <= pod["metadata"]["creationTimestamp"]
    await place.copy()
    assert len(twins()) == 1
    assert await place.copies.remove("users", "pr-42")
    await place.until(lambda: not twins())
