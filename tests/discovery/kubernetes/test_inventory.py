"""From Kubernetes objects to a mesh."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert

from detour.discovery.kubernetes.inventory import Inventory
from detour.discovery.kubernetes.objects import Deployment, EndpointSlice, Pod, Service
from detour.mesh import Endpoint, Mesh, Naming, OffloadedDeployment, Port, Protocol, apply
from kubernetes_objects import deployment, endpoint, endpoint_slice, pod, service

KINDS = {"service": Service, "pod": Pod, "slice": EndpointSlice, "deployment": Deployment}


class Cluster:
    """An inventory and the mesh that its events have made so far."""

    def __init__(self) -> None:
        self.inventory = Inventory(Naming(home="shop"))
        self._mesh = Mesh()

    def apply(self, *objects: dict[str, Any]) -> None:
        """Take objects as the API gives them."""
        for one in objects:
            self.inventory.apply(read(one))

    def remove(self, one: dict[str, Any]) -> None:
        """Take one away."""
        self.inventory.remove(read(one))

    @property
    def mesh(self) -> Mesh:
        """Return the mesh as it is."""
        self._mesh = apply(self._mesh, *self.inventory.events())
        return self._mesh

    def baseline(self, name: str = "users") -> list[str]:
        """Return where a service's baseline is."""
        return [str(one) for one in self.mesh.services[name].endpoints]

    def offloaded(self, name: str = "pr-42", of: str = "users") -> list[str] | None:
        """Return where a deployment is; None if there is none."""
        found = self.mesh.deployment(of, name)
        return [str(one) for one in found.endpoints] if found else None


def read(one: dict[str, Any]) -> Service | Pod | EndpointSlice | Deployment:
    """Read an object as discovery does."""
    if "endpoints" in one:
        return convert(one, EndpointSlice)
    if "status" in one:
        return convert(one, Pod)
    return convert(one, Service if "spec" in one else Deployment)


@pytest.fixture
def cluster() -> Cluster:
    """Return a cluster where users has two pods."""
    cluster = Cluster()
    cluster.apply(service(), USERS_1, USERS_2, endpoint_slice("users", endpoint(USERS_1), endpoint(USERS_2)))
    return cluster


USERS_1 = pod("users-1", "10.0.0.1", app="users")
USERS_2 = pod("users-2", "10.0.0.2", app="users")
PR_42 = pod("users-pr-42", "10.0.0.9", detour_offloaded="pr-42", detour_service="users")


def test_a_service_has_its_ready_pods(cluster: Cluster) -> None:
    """At the port that they listen on."""
    assert cluster.baseline() == ["10.0.0.1:8080", "10.0.0.2:8080"]


@pytest.mark.parametrize(
    "change",
    [
        {"status": {"conditions": [{"type": "Ready", "status": "False"}], "podIP": "10.0.0.1"}},
        {"metadata": {"deletionTimestamp": "2030-01-01T00:00:00Z"}},
        {"metadata": {"labels": {"app": "users", "detour.dev/offloaded": "pr-42"}}},
        {"metadata": {"labels": {"app": "users", "detour.dev/offloaded": ""}}},
        {"metadata": {"uid": "another"}},
        {"status": {"podIP": "10.0.0.77", "podIPs": [{"ip": "10.0.0.77"}]}},
    ],
    ids=["not ready", "ending", "offloaded", "offloaded without name", "another of that name", "moved"],
)
def test_a_pod_that_is_no_longer_fit_is_no_instance_whatever_the_slice_says(
    cluster: Cluster, change: dict[str, Any]
) -> None:
    """The controller that writes slices may be behind."""
    changed = deepcopy(USERS_1)
    for part, values in change.items():
        changed[part].update(values)
    cluster.apply(changed)
    assert cluster.baseline() == ["10.0.0.2:8080"]
    cluster.apply(USERS_1)
    assert cluster.baseline() == ["10.0.0.1:8080", "10.0.0.2:8080"]


def test_a_pod_that_is_gone_is_no_instance(cluster: Cluster) -> None:
    """At once."""
    cluster.remove(USERS_2)
    assert cluster.baseline() == ["10.0.0.1:8080"]


def test_an_endpoint_counts_once_its_pod_is_known() -> None:
    """Until then it might be an offloaded one."""
    cluster = Cluster()
    cluster.apply(service(), endpoint_slice("users", endpoint(USERS_1)))
    assert cluster.baseline() == []
    cluster.apply(USERS_1)
    assert cluster.baseline() == ["10.0.0.1:8080"]


def test_an_endpoint_without_pod_counts_unless_an_offloaded_pod_has_its_address(cluster: Cluster) -> None:
    """Slices of Services without selector are made by hand."""
    loose = {"addresses": ["10.0.0.9"], "conditions": {"ready": True}}
    cluster.apply(service("legacy", selector=None), endpoint_slice("legacy", loose))
    assert cluster.baseline("legacy") == ["10.0.0.9:8080"]
    cluster.apply(PR_42)
    assert cluster.baseline("legacy") == []
    cluster.remove(PR_42)
    assert cluster.baseline("legacy") == ["10.0.0.9:8080"]


def test_an_endpoint_that_is_not_ready_is_not_an_instance(cluster: Cluster) -> None:
    """An endpoint with unknown readiness is one."""
    cluster.apply(endpoint_slice("users", endpoint(USERS_1, ready=False), endpoint(USERS_2, ready=None)))
    assert cluster.baseline() == ["10.0.0.2:8080"]


def test_who_publishes_instances_before_they_are_ready_gets_them(cluster: Cluster) -> None:
    """That is what the Service asks for; one that ends is out all the same."""
    starting = pod("users-1", "10.0.0.1", ready=False, app="users")
    cluster.apply(service(publishNotReadyAddresses=True), starting)
    assert cluster.baseline() == ["10.0.0.1:8080", "10.0.0.2:8080"]
    starting["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    cluster.apply(starting)
    assert cluster.baseline() == ["10.0.0.2:8080"]


def test_an_endpoint_in_two_slices_is_one(cluster: Cluster) -> None:
    """While it moves from one to the other."""
    cluster.apply(endpoint_slice("users", endpoint(USERS_1), name="users-other"))
    assert cluster.baseline() == ["10.0.0.1:8080", "10.0.0.2:8080"]


def test_of_two_families_the_services_first_counts(cluster: Cluster) -> None:
    """Or else a pod would be two instances."""
    second = endpoint_slice("users", {"addresses": ["fd00::1"], "conditions": {}}, name="users-v6")
    second["addressType"] = "IPv6"
    cluster.apply(second)
    assert cluster.baseline() == ["10.0.0.1:8080", "10.0.0.2:8080"]
    cluster.apply(service(ipFamilies=["IPv6"]))
    assert cluster.baseline() == ["[fd00::1]:8080"]


PORTS = [
    {"name": "http", "port": 80, "targetPort": "web"},
    {"name": "grpc-users", "port": 9090, "targetPort": 9091},
    {"name": "https", "port": 443, "targetPort": 8443},
    {"name": "dns", "port": 53, "protocol": "UDP"},
]


def test_ports_have_their_own_endpoints_and_protocols(cluster: Cluster) -> None:
    """The main port is the first that speaks HTTP; what is not TCP is left out."""
    made = endpoint_slice("users", endpoint(USERS_1))
    made["ports"] = [{"name": name, "port": port} for name, port in (("http", 8080), ("grpc-users", 9091))]
    cluster.apply(service("users", PORTS[2], *PORTS[:2], PORTS[3]), made)
    users = cluster.mesh.services["users"]
    assert dict(users.ports) == {
        80: Port(Protocol.HTTP1, (Endpoint("10.0.0.1", 8080),)),
        9090: Port(Protocol.HTTP2, (Endpoint("10.0.0.1", 9091),)),
        443: Port(Protocol.TCP, ()),
    }
    assert (users.endpoints, users.protocol) == (users.ports[80].endpoints, Protocol.HTTP1)


@pytest.mark.parametrize(
    ("port", "protocol"),
    [
        ({}, "auto"),
        ({"name": "web"}, "auto"),
        ({"name": "rpc"}, "auto"),
        ({"name": "server"}, "auto"),
        ({"name": "tcp-service"}, "auto"),
        ({"name": "tcp-http"}, "auto"),
        ({"name": "http"}, "http1"),
        ({"name": "http-tcp"}, "http1"),
        ({"name": "grpc-web"}, "http1"),
        ({"name": "http2"}, "http2"),
        ({"name": "grpc"}, "http2"),
        ({"name": "h2c-main"}, "http2"),
        ({"name": "tcp"}, "tcp"),
        ({"name": "TCP-Redis"}, "tcp"),
        ({"name": "tcp-kafka-internal"}, "tcp"),
        ({"name": "https-main"}, "tcp"),
        ({"name": "postgres"}, "tcp"),
        ({"appProtocol": "tcp", "name": "http"}, "tcp"),
        ({"port": 5432}, "tcp"),
        ({"port": 6379, "name": "main"}, "tcp"),
        ({"port": 6379, "name": "http"}, "http1"),
        ({"port": 5432, "appProtocol": "grpc"}, "http2"),
        ({"name": "http", "appProtocol": "kubernetes.io/h2c"}, "http2"),
        ({"name": "http", "appProtocol": "grpc"}, "http2"),
        ({"name": "grpc", "appProtocol": "http"}, "http1"),
        ({"appProtocol": "kubernetes.io/ws"}, "http1"),
        ({"appProtocol": "redis"}, "tcp"),
        ({"port": 443}, "tcp"),
    ],
)
def test_what_a_port_speaks(cluster: Cluster, port: dict[str, Any], protocol: str) -> None:
    """The appProtocol decides, then the name, then the number; every other port speaks what its callers do."""
    cluster.apply(service("users", {"port": 80, **port}))
    assert cluster.mesh.services["users"].protocol == protocol


def test_a_deployment_that_no_request_can_reach_is_reported(cluster: Cluster) -> None:
    """Where no port of its Service speaks what a sidecar reads."""
    cluster.apply(PR_42)
    assert "users" in cluster.mesh.services
    assert cluster.inventory.problems == ()
    cluster.apply(service(ports=[{"port": 5432, "protocol": "TCP", "appProtocol": "postgres"}]))
    assert "users" in cluster.mesh.services
    (problem,) = cluster.inventory.problems
    assert problem.startswith("users@pr-42: no request can reach it")


def test_a_ready_offloaded_pod_is_an_instance_of_its_deployment(cluster: Cluster) -> None:
    """And of nothing else."""
    cluster.apply(PR_42)
    assert cluster.offloaded() == ["10.0.0.9:8080"]
    assert cluster.baseline() == ["10.0.0.1:8080", "10.0.0.2:8080"]
    cluster.apply(pod("users-pr-42", "10.0.0.9", ready=False, detour_offloaded="pr-42", detour_service="users"))
    assert cluster.offloaded() == []
    cluster.remove(PR_42)
    assert cluster.offloaded() is None


def test_an_offloaded_pod_that_names_no_service_belongs_to_those_that_select_it(cluster: Cluster) -> None:
    """Its other labels name its service, and it still does not belong to the baseline."""
    selected = pod("experiment", "10.0.0.9", app="users", detour_offloaded="pr-42")
    cluster.apply(
        selected, endpoint_slice("users", endpoint(USERS_1), endpoint(selected)), service("all", selector={})
    )
    assert cluster.offloaded() == ["10.0.0.9:8080"]
    assert cluster.offloaded(of="all") is None
    assert cluster.baseline() == ["10.0.0.1:8080"]
    cluster.apply(service(selector={"app": "people"}))
    assert cluster.offloaded() is None


def test_an_offloaded_deployment_exists_before_it_has_a_pod(cluster: Cluster) -> None:
    """With its owner and its end."""
    cluster.apply(deployment("users--pr-42", "users", "pr-42", owner="ana", expires="2030-01-02T03:04:05Z"))
    assert cluster.mesh.deployment("users", "pr-42") == OffloadedDeployment(
        "users", "pr-42", (), "ana", datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    )
    cluster.apply(PR_42)
    assert cluster.offloaded() == ["10.0.0.9:8080"]
    assert cluster.mesh.deployment("users", "pr-42").owner == "ana"


def test_registered_endpoints_serve_every_port(cluster: Cluster) -> None:
    """They are kept as an EndpointSlice that no Service has."""
    made = endpoint_slice("users", {"addresses": ["10.9.9.9"], "conditions": {}}, port=1234, name="users--pr-43")
    made["metadata"]["labels"] = {"detour.dev/offloaded": "pr-43", "detour.dev/service": "users"}
    cluster.apply(made)
    found = cluster.mesh.deployment("users", "pr-43")
    assert found.at(80) == found.at(9090) == (Endpoint("10.9.9.9", 1234),)
    assert cluster.baseline() == ["10.0.0.1:8080", "10.0.0.2:8080"]


def test_named_ports_are_those_of_the_pod(cluster: Cluster) -> None:
    """A pod without a port of that name has no endpoint there, and the problem is reported."""
    cluster.apply(service("users", PORTS[0]), PR_42)
    assert cluster.offloaded() == ["10.0.0.9:8080"]
    without = deepcopy(PR_42)
    without["spec"]["containers"] = [{"name": "app"}]
    cluster.apply(without)
    assert cluster.offloaded() == []
    (problem,) = cluster.inventory.problems
    assert "Pod shop/users-pr-42 of users declares no port named web" in problem


def test_services_of_other_namespaces_say_so_in_their_names(cluster: Cluster) -> None:
    """The home namespace's do not; two of one name are two services."""
    there = pod("users-1", "10.1.0.1", namespace="pay")
    cluster.apply(service(namespace="pay"), there, endpoint_slice("users", endpoint(there), namespace="pay"))
    assert cluster.baseline("users.pay") == ["10.1.0.1:8080"]
    assert cluster.baseline("users") == ["10.0.0.1:8080", "10.0.0.2:8080"]
    cluster.apply(pod("x", "10.1.0.2", namespace="pay", detour_offloaded="pr-42", detour_service="users"))
    assert cluster.offloaded(of="users.pay") == ["10.1.0.2:8080"]
    assert cluster.offloaded() is None


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (
            service("odd", type="ExternalName", externalName="example.test"),
            "calls to it leave the mesh for example.test",
        ),
        (service("odd", ports=[]), "Service shop/odd has no TCP port"),
        (service("odd", {"port": 53, "protocol": "UDP"}), "Service shop/odd has no TCP port"),
        (service("o" * 60, namespace="pay"), "longer than 63 characters"),
        (
            pod("odd", "10.0.0.7", detour_offloaded="", app="users"),
            "has the label detour.dev/offloaded without a valid name",
        ),
        (deployment("odd", "users", "pr-1", expires="soon"), "'soon' as detour.dev/expires, which is not a date"),
    ],
    ids=["external", "no ports", "no TCP", "long name", "no deployment name", "no date"],
)
def test_odd_objects_are_reported_and_the_rest_works(cluster: Cluster, odd: dict[str, Any], message: str) -> None:
    """A line each, gone with its cause."""
    cluster.apply(odd)
    assert cluster.baseline() == ["10.0.0.1:8080", "10.0.0.2:8080"]
    (problem,) = cluster.inventory.problems
    assert message in problem
    cluster.remove(odd)
    assert set(cluster.mesh.services) == {"users"}
    assert cluster.inventory.problems == ()


def test_headless_services_and_those_without_selector_are_services(cluster: Cluster) -> None:
    """What counts is who their slices name."""
    cluster.apply(service("headless", clusterIP="None"), service("manual", selector=None))
    assert cluster.baseline("headless") == cluster.baseline("manual") == []
    cluster.apply(endpoint_slice("headless", endpoint(USERS_1)))
    assert cluster.baseline("headless") == ["10.0.0.1:8080"]
    assert cluster.inventory.problems == ()


def test_what_changes_nothing_makes_no_event(cluster: Cluster) -> None:
    """A pod's heartbeat does not change the mesh."""
    assert cluster.mesh
    cluster.apply(deepcopy(USERS_1), service())
    cluster.remove(pod("unknown", "10.0.0.50"))
    assert cluster.inventory.events() == ()


OBJECTS = [
    service(),
    service(selector={"app": "people"}),
    service("users", PORTS[0]),
    *(
        pod(name, f"10.0.0.{number}", ready=ready, uid=uid, **labels)
        for number, name in enumerate(("a", "b"), 1)
        for ready in (True, False)
        for uid in ("1", "2")
        for labels in (
            {"app": "users"},
            {"app": "users", "detour_offloaded": "pr-42"},
            {"detour_offloaded": "pr-42", "detour_service": "users"},
        )
    ),
    deployment("users--pr-42", "users", "pr-42", owner="ana"),
]
SLICES = [
    endpoint_slice("users", *(endpoint(one) for one in ones))
    for ones in ((), (OBJECTS[3],), (OBJECTS[5],), (OBJECTS[9],), (OBJECTS[3], OBJECTS[-2]))
]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(OBJECTS + SLICES)), max_size=30))
def test_the_order_of_events_makes_no_difference(steps: list[tuple[bool, dict[str, Any]]]) -> None:
    """What is there at the end makes the mesh, however it came to be, and no offloaded pod is a baseline's."""
    cluster, held = Cluster(), {}
    for is_applied, one in steps:
        key = type(read(one)), one["metadata"]["name"]
        if is_applied:
            cluster.apply(one)
            held[key] = one
        else:
            cluster.remove(one)
            held.pop(key, None)
        offloaded = {
            two["status"]["podIP"]
            for two in held.values()
            if "detour.dev/offloaded" in two["metadata"].get("labels", {}) and "status" in two
        }
        users = cluster.mesh.services.get("users")
        assert not users or offloaded.isdisjoint(one.address for one in users.endpoints)
    fresh = Cluster()
    fresh.apply(*held.values())
    assert cluster.mesh == fresh.mesh
    assert cluster.inventory.problems == fresh.inventory.problems


def test_namespaces_with_services(cluster: Cluster) -> None:
    """Until the last of their Services is gone; one that was never there does not count."""
    assert cluster.inventory.namespaces == {"shop"}
    cluster.remove(service("unknown"))
    cluster.apply(service("pay", namespace="other"), service("rides"))
    assert cluster.inventory.namespaces == {"shop", "other"}
    cluster.remove(service("rides"))
    cluster.remove(service("pay", namespace="other"))
    cluster.remove(service("pay", namespace="other"))
    assert cluster.inventory.namespaces == {"shop"}
    cluster.apply(service())
    cluster.remove(service())
    assert cluster.inventory.namespaces == set()


def test_an_endpoint_that_names_no_namespace_means_its_own(cluster: Cluster) -> None:
    """Of its slice; a reference to something else than a pod does not count."""
    near = endpoint(USERS_1)
    del near["targetRef"]["namespace"]
    cluster.apply(endpoint_slice("users", near))
    assert cluster.baseline() == ["10.0.0.1:8080"]
    cluster.remove(USERS_1)
    assert cluster.baseline() == []
    cluster.apply(endpoint_slice("users", {**near, "targetRef": {"kind": "Node", "name": "users-1"}}))
    assert cluster.baseline() == ["10.0.0.1:8080"]


def test_pods_that_several_selectors_match(cluster: Cluster) -> None:
    """An offloaded pod without a service's name belongs to each; a Service without a selector has none."""
    cluster.apply(service("people", selector={"app": "users"}), service("none", selector={}), service("all"))
    cluster.apply(pod("x", "10.0.0.7", detour_offloaded="pr-7", app="users"))
    assert cluster.offloaded("pr-7") == cluster.offloaded("pr-7", of="people") == ["10.0.0.7:8080"]
    assert cluster.offloaded("pr-7", of="none") is cluster.offloaded("pr-7", of="all") is None


def test_services_and_labels_are_known_by_namespace() -> None:
    """They name sidecars."""
    cluster = Cluster()
    cluster.apply(service("users"), service("users", namespace="pay"), pod("users-1", "10.0.0.1", app="users"))
    assert [one.metadata.namespace for one in cluster.inventory.services("shop")] == ["shop"]
    assert cluster.inventory.services("none") == []
    assert cluster.inventory.labels_of("shop", "users-1") == {"app": "users"}
    assert cluster.inventory.labels_of("pay", "users-1") is None


def test_slices_that_are_empty_and_endpoints_with_several_addresses(cluster: Cluster) -> None:
    """A slice may have null in place of endpoints; of an endpoint's addresses the first counts."""
    two = {**endpoint(USERS_1), "addresses": ["10.0.0.1", "10.0.0.2"]}
    cluster.apply(endpoint_slice("users", two))
    assert cluster.baseline() == ["10.0.0.1:8080"]
    cluster.apply({**endpoint_slice("users"), "endpoints": None, "ports": None})
    assert cluster.baseline() == []
    assert cluster.inventory.problems == ()


def test_a_removed_slice_takes_its_endpoints_away(cluster: Cluster) -> None:
    """Those of another slice of the Service stay, and follow their pods."""
    cluster.apply(endpoint_slice("users", endpoint(USERS_2), name="users-second"))
    cluster.remove(endpoint_slice("users"))
    assert cluster.baseline() == ["10.0.0.2:8080"]
    cluster.remove(USERS_2)
    assert cluster.baseline() == []
    cluster.apply(USERS_2)
    assert cluster.baseline() == ["10.0.0.2:8080"]


def test_a_reference_without_a_uid_means_any_pod_of_that_name(cluster: Cluster) -> None:
    """One with another uid means a pod that is gone; one of another namespace means that one's."""
    without, other, far = (endpoint(USERS_1) for _ in range(3))
    del without["targetRef"]["uid"]
    other["targetRef"]["uid"] = "another"
    far["targetRef"]["namespace"] = "pay"
    for one, expected in ((without, ["10.0.0.1:8080"]), (other, []), (far, [])):
        cluster.apply(endpoint_slice("users", one))
        assert cluster.baseline() == expected
