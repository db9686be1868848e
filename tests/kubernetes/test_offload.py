"""Offloaded deployments from end to end: a real API server, pods that really run, real Envoys."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lightkube.codecs import from_dict
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import Event, Pod

from kubernetes.cluster import Cluster
from kubernetes.shop import REGISTRY, Shop, open_shop


@pytest.fixture(scope="module")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Open a shop for all tests of this module."""
    with cluster.namespace() as namespace, open_shop(cluster, namespace, tmp_path_factory.mktemp("shop")) as opened:
        yield opened


def test_from_create_to_rm(shop: Shop) -> None:
    """A request that names it reaches it once it is created, and none does once it is removed."""
    assert shop.version("pr-42") == "503"
    done = shop.detour("offload", "create", "users", "pr-42", "--image", f"{REGISTRY}:2", "--env", "COLOUR=blue")
    assert (done.returncode, done.stdout) == (
        0,
        "users@pr-42 is Ready. To send a request to it, add the header\n  baggage: override.route.users=pr-42\n",
    ), done
    answer = shop.call("pr-42")
    assert answer.json()["version"] == "2"
    assert answer.json()["env"]["COLOUR"] == "blue"
    assert answer.headers["x-detour-served-by"] == "users@pr-42"
    assert shop.version() == "1"
    done = shop.detour("offload", "rm", "users", "pr-42")
    assert (done.returncode, done.stdout) == (0, "users@pr-42 was removed\n")
    assert shop.version("pr-42") == "503"
    assert shop.version() == "1"


def test_creating_it_again_rolls_it(shop: Shop) -> None:
    """To another image, without an interruption."""
    assert shop.detour("offload", "create", "users", "roll", "--image", f"{REGISTRY}:2").returncode == 0
    assert shop.version("roll") == "2"
    assert shop.detour("offload", "create", "users", "roll", "--image", f"{REGISTRY}:3").returncode == 0
    shop.until(lambda: shop.version("roll") == "3")
    assert shop.detour("offload", "rm", "users", "roll").returncode == 0


@pytest.mark.parametrize(
    ("image", "reason", "said"),
    [
        ("nowhere", "app: the image cannot be pulled", "Failed: "),
        ("crash", "app: the container ends again and again, last with exit status 3", "cannot find its database"),
    ],
)
def test_what_does_not_become_ready_says_why_and_leaves_nothing(
    shop: Shop, image: str, reason: str, said: str
) -> None:
    """The reason, what Kubernetes says and the last lines of its log."""
    done = shop.detour("offload", "create", "users", "broken", "--image", f"{REGISTRY}:{image}")
    assert done.returncode == 1
    assert f"users@broken failed: {reason}" in done.stderr
    assert said in done.stderr
    assert "The change was undone: it was removed" in done.stderr
    assert shop.endpoints("broken") is None


def test_a_roll_that_fails_leaves_the_one_before(shop: Shop) -> None:
    """Which went on serving all the while."""
    assert shop.detour("offload", "create", "users", "back", "--image", f"{REGISTRY}:2").returncode == 0
    done = shop.detour("offload", "create", "users", "back", "--image", f"{REGISTRY}:crash")
    assert done.returncode == 1
    assert "the one before is back" in done.stderr
    assert shop.version("back") == "2"
    done = shop.detour("offload", "create", "users", "back", "--image", f"{REGISTRY}:nowhere", "--keep")
    assert "was kept (--keep)" in done.stderr
    assert shop.version("back") == "2"
    assert shop.detour("offload", "rm", "users", "back").returncode == 0


def test_no_room_is_reported(shop: Shop) -> None:
    """There may be room later; a command whose time is up says what it waited for."""
    arguments = (
        "offload",
        "create",
        "users",
        "large",
        "--image",
        f"{REGISTRY}:2",
        "--replicas",
        "3",
        "--timeout",
        "3s",
    )
    done = shop.detour(*arguments, "--command", "sleep 1000")
    assert done.returncode == 1
    assert "users@large failed: not Ready within 0:00:03: " in done.stderr
    assert shop.endpoints("large") is None


def _service(name: str, **spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": ports, **spec}}


@pytest.fixture(scope="module")
def odd_services(shop: Shop) -> None:
    """Add services that cannot be copied."""
    shop.apply(
        _service("manual"),
        _service("headless", clusterIP="None", selector={"app": "nobody"}),
        _service("elsewhere", type="ExternalName", externalName="example.test"),
    )
    shop.until(lambda: {"headless", "manual"} <= {one["name"] for one in shop.get("/v1/services")["items"]})
    shop.until(lambda: "an ExternalName" in shop.detour("status").stdout)


@pytest.mark.parametrize(
    ("service", "name", "line"),
    [
        ("usrs", "pr-1", "the mesh has no service usrs; did you mean users?"),
        ("users", "PR_1", "'PR_1' cannot name a deployment in Kubernetes: expected at most 63 lower-case letters"),
        (
            "manual",
            "pr-1",
            "Service manual has no selector, so it has no Deployment to copy; create pods with the labels",
        ),
        ("headless", "pr-1", "no Deployment is behind Service headless, nor another workload; create pods"),
        ("elsewhere", "pr-1", "the mesh has no service elsewhere; it has headless, manual, users"),
    ],
)
@pytest.mark.usefixtures("odd_services")
def test_what_cannot_be_copied_is_one_line(shop: Shop, service: str, name: str, line: str) -> None:
    """And the rest of the mesh keeps working."""
    done = shop.detour("offload", "create", service, name, "--image", f"{REGISTRY}:2")
    assert done.returncode == 2
    assert done.stderr.startswith(f"detour: {line}")
    assert done.stderr.count("\n") == 1
    assert shop.version() == "1"


def test_a_pod_without_ports_serves_where_the_service_says(shop: Shop) -> None:
    """The Service names a number; a Service that names a port that the pod lacks is a problem in `status`."""
    named = [{"name": "http", "port": 80, "targetPort": "web"}]
    shop.apply(_service("named", selector={"app": "users"}, ports=named))
    done = shop.detour("offload", "create", "named", "pr-1", "--image", f"{REGISTRY}:2")
    assert done.returncode == 0, done
    shop.until(lambda: "declares no port named web" in shop.detour("status").stdout)
    assert shop.version() == "1"
    assert shop.detour("offload", "rm", "named", "pr-1").returncode == 0


def test_two_people_never_collide(shop: Shop) -> None:
    """Each has names of their own; taking another user's is refused, with the owner's name."""
    assert shop.detour("offload", "create", "users", "shared", "--image", f"{REGISTRY}:2").returncode == 0
    for arguments in (
        ("create", "users", "shared", "--image", f"{REGISTRY}:3", "--owner", "bob"),
        ("add", "users", "shared", "-e", "10.88.200.1:80", "--owner", "bob"),
        ("rm", "users", "shared", "--owner", "bob"),
        ("extend", "users", "shared", "--owner", "bob"),
    ):
        done = shop.detour("offload", *arguments)
        assert (done.returncode, done.stderr) == (2, "detour: users@shared belongs to ana: choose another name\n")
    assert shop.version("shared") == "2"
    assert shop.detour("offload", "rm", "--all", "--owner", "ana").stdout == "users@shared was removed\n"


def test_an_expired_one_is_removed_by_the_server(shop: Shop) -> None:
    """And warned of before, beside the object."""
    done = shop.detour("offload", "create", "users", "short", "--image", f"{REGISTRY}:2", "--ttl", "20s")
    assert done.returncode == 0, done
    assert shop.version("short") == "2"
    with shop.cluster.client(namespace=shop.namespace) as client:
        shop.until(lambda: any(one.reason == "ExpiresSoon" for one in client.list(Event)))
        shop.until(lambda: not list(client.list(Deployment, labels={"detour.dev/offloaded": "short"})))
    assert shop.version("short") == "503"


def test_extending_it_puts_its_end_off(shop: Shop) -> None:
    """As `ls` shows."""
    assert (
        shop.detour("offload", "create", "users", "long", "--image", f"{REGISTRY}:2", "--ttl", "1h").returncode == 0
    )
    said = shop.detour("offload", "extend", "users", "long", "--ttl", "8d").stdout
    assert re.search(r"users@long expires in (8 d|7 d 23 h)", said)
    shop.until(lambda: re.search(r"long .* in (8 d|7 d 23 h)", shop.detour("offload", "ls").stdout))
    assert "1 of 1 Ready" in shop.detour("offload", "show", "users", "long").stdout
    assert shop.detour("offload", "rm", "users", "long").returncode == 0


def test_registered_endpoints_are_kept_in_the_cluster(shop: Shop) -> None:
    """Every replica of the server has them; refusals of the API server are passed on in its words."""
    with shop.cluster.client(namespace=shop.namespace) as client:
        (first, *_) = client.list(Pod, labels={"app": "users"})
    done = shop.detour("offload", "add", "users", "mine", "-e", f"{first.status.podIP}:8080")
    assert done.returncode == 0, done
    assert shop.version("mine") == "1"
    assert shop.detour("offload", "rm", "users", "mine").returncode == 0
    assert shop.version("mine") == "503"
    done = shop.detour("offload", "add", "users", "mine", "-e", "127.0.0.1:8080")
    assert done.returncode == 2
    assert "may not be in the loopback range" in done.stderr


def test_a_namespace_that_the_server_may_not_write_is_reported(cluster: Cluster, tmp_path: Path) -> None:
    """Which right is missing; what it may read is served all the same."""
    with cluster.namespace() as namespace:
        with cluster.client(namespace=namespace) as client:
            groups = ["", "apps", "discovery.k8s.io", "coordination.k8s.io"]
            rules = [{"apiGroups": groups, "resources": ["*"], "verbs": ["get", "list", "watch"]}]
            role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "reader"}}
            client.create(from_dict({**role, "kind": "Role", "rules": rules}))
            subject = {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
            reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
            client.create(from_dict({**role, "kind": "RoleBinding", "roleRef": reference, "subjects": [subject]}))
        reader = cluster.kubeconfig_for(namespace, "default")
        with open_shop(cluster, namespace, tmp_path, kubeconfig=reader) as shop:
            done = shop.detour("offload", "create", "users", "pr-1", "--image", f"{REGISTRY}:2")
            assert done.returncode == 2
            assert f"the server may not write Deployments in namespace {namespace}" in done.stderr
            assert "give its ServiceAccount that right" in done.stderr
            assert shop.version() == "1"
