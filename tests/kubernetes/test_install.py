"""Detour as it is installed: the chart on the real API server, and everything running in pods."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from lightkube.codecs import from_dict
from lightkube.models.authorization_v1 import ResourceAttributes, SubjectAccessReviewSpec
from lightkube.resources.authorization_v1 import SubjectAccessReview
from lightkube.resources.core_v1 import Namespace, Pod, Service

from cli.running import environment
from detour import __version__
from detour.envoy.runner import find_envoy
from detour.install import Choices, manifests
from kubernetes.cluster import Cluster, Image, is_ready
from kubernetes.shop import REGISTRY, Shop, put_images, users

ROOT = Path(__file__).parents[2]
ENVOY = "envoyproxy/envoy:v1.40.0"
IMAGE = f"ghcr.io/detour-dev/detour:{__version__}"

WEB = """
import http.server, json, os, urllib.request
class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        baggage = {"baggage": self.headers["baggage"]} if self.headers["baggage"] else {}
        try:
            asked = urllib.request.Request("http://users/", headers=baggage)
            with urllib.request.urlopen(asked, timeout=10) as answer:
                content, status = answer.read(), 200
        except urllib.error.HTTPError as error:
            content, status = error.read(), error.code
        self.send_response(status)
        self.end_headers()
        self.wfile.write(content)
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(("", 8080), Web).serve_forever()
"""


def chart(*options: str) -> list[dict[str, Any]]:
    """Render the chart."""
    command = [helm(), "template", "detour", str(ROOT / "deploy/helm/detour"), "--namespace", "detour", *options]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [one for one in yaml.safe_load_all(text) if one]


def helm() -> str:
    """Return Helm's path."""
    tools = ROOT / "tests/kubernetes/tools/helm/build.sh"
    return subprocess.run([tools], capture_output=True, text=True, check=True).stdout.strip() + "/helm"


def test_the_chart_is_clean() -> None:
    """By Helm's own word."""
    command = [helm(), "lint", "--strict", str(ROOT / "deploy/helm/detour")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "0 chart(s) failed" in done.stdout, done


def test_what_detour_install_prints_is_what_the_chart_makes() -> None:
    """The rendered chart in the package is not stale."""
    rendered = subprocess.run([ROOT / "tests/install/render.sh"], capture_output=True, text=True, check=True).stdout
    assert rendered == (ROOT / "src/detour/install/chart.yaml").read_text(), (
        "run tests/install/render.sh >src/detour/install/chart.yaml"
    )


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--set", "namespaces={default,kube-public}"),
        ("--set", "allNamespaces=true"),
        ("--set", "replicas=1,offload.enabled=false,injection.mode=transparent,networkPolicy.enabled=false"),
    ],
    ids=["default", "namespaces", "all", "least"],
)
def test_the_api_server_accepts_it(cluster: Cluster, options: tuple[str, ...]) -> None:
    """Every object of every variant, as a server-side dry run."""
    with cluster.client(field_manager="test", dry_run=True) as client:
        for one in chart(*options):
            if one["metadata"].get("namespace") == "detour":
                one["metadata"]["namespace"] = "default"
            client.apply(from_dict(one), force=True)


def test_mistaken_values_are_refused() -> None:
    """By the chart's schema."""
    for value in ("namespaces={}", "namespaces={Shop}", "injection.mode=magic", "replicas=0", "typo=1"):
        with pytest.raises(subprocess.CalledProcessError):
            chart("--set", value)


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Iterator[Shop]:
    """Install Detour with `detour install`, in pods, for one namespace whose pods get sidecars."""
    put_images(cluster)
    python = (sys.executable, "-S", "-E", "-c")
    envoy = Path(find_envoy())
    for image, program in ((IMAGE, Path(sys.executable).with_name("detour")), (ENVOY, envoy)):
        cluster.images[image] = Image((str(program),), env={"PATH": f"{program.parent}:/usr/sbin:/usr/bin:/bin"})
    cluster.images["registry.test/web:1"] = Image((*python, WEB))
    with cluster.namespace("shop", {"detour.dev/injection": "enabled"}) as shop:
        server = f"detour-{shop}"
        done = subprocess.run(
            [sys.executable, "-m", "detour", "install", "--namespace", shop, "--server-namespace", server],
            capture_output=True,
            text=True,
            check=False,
            env=environment(KUBECONFIG=str(cluster.kubeconfig)),
            timeout=200,
        )
        assert done.returncode == 0, (done.stdout, done.stderr, _logs(cluster, server))
        assert "Deployment detour is as it should be" in done.stdout
        with cluster.client() as client:
            address = client.get(Service, "detour", namespace=server).spec.clusterIP
        opened = Shop(cluster, shop, f"http://{address}:15020", 0)
        opened.apply(*users())
        opened.until(lambda: len(_ready(cluster, shop, "users")) == 2)
        yield opened
        with cluster.client() as client:
            client.deletecollection(Pod, namespace=server, grace_period=0)
            client.delete(Namespace, server)
            for one in manifests(Choices([shop], server, IMAGE)):
                if one["kind"].startswith(("ClusterRole", "Mutating")):
                    client.delete(type(from_dict(one)), one["metadata"]["name"])


def _logs(cluster: Cluster, namespace: str) -> str:
    with cluster.client() as client:
        pods = list(client.list(Pod, namespace=namespace))
        return "\n".join("".join(client.log(pod.metadata.name, namespace=namespace)) for pod in pods)


def _ready(cluster: Cluster, namespace: str, app: str) -> list[Pod]:
    with cluster.client() as client:
        found = client.list(Pod, namespace=namespace, labels={"app": app})
        return [pod for pod in found if is_ready(pod)]


def _web(mode: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"web-{mode}",
            "labels": {"app": f"web-{mode}"},
            "annotations": {"detour.dev/mode": mode},
        },
        "spec": {
            "containers": [{"name": "web", "image": "registry.test/web:1"}],
            "terminationGracePeriodSeconds": 1,
        },
    }


@pytest.mark.parametrize("mode", ["explicit", "transparent"])
def test_a_pod_of_a_labelled_namespace_reaches_offloaded_deployments(installed: Shop, mode: str) -> None:
    """Its sidecar was injected by the webhook, proves who it is to the server, and reroutes what the pod calls."""
    installed.apply(_web(mode))
    (web,) = installed.until(lambda: _ready(installed.cluster, installed.namespace, f"web-{mode}"))
    (sidecar,) = [one for one in web.spec.initContainers if one.name == "detour-sidecar"]
    assert sidecar.restartPolicy == "Always"
    address = f"http://{web.status.podIP}:8080/"

    def version(override: str = "") -> str:
        headers = {"baggage": f"override.route.users={override}"} if override else {}
        answer = httpx.get(address, headers=headers, timeout=20)
        return json.loads(answer.text)["version"] if answer.is_success else str(answer.status_code)

    installed.until(lambda: version() == "1")
    assert version(f"pr-{mode}") == "503"
    done = installed.detour("offload", "create", "users", f"pr-{mode}", "--image", f"{REGISTRY}:2")
    assert done.returncode == 0, done
    assert version(f"pr-{mode}") == "2"
    assert version() == "1"
    (copy,) = _ready(installed.cluster, installed.namespace, f"users--pr-{mode}")
    assert [one.name for one in copy.spec.initContainers] == ["detour-sidecar"]
    assert installed.detour("offload", "rm", "users", f"pr-{mode}").returncode == 0
    assert version(f"pr-{mode}") == "503"
    status = httpx.get(f"{installed.server}/v1/status", timeout=10).json()
    assert status["cluster"]["problems"] == []


def test_logs_come_through_the_server(installed: Shop) -> None:
    """Nobody needs rights in the cluster for them."""
    assert installed.detour("offload", "create", "users", "logged", "--image", f"{REGISTRY}:3").returncode == 0
    done = installed.detour("offload", "logs", "users", "logged", "--tail", "1000")
    assert "users 3 listens" in done.stdout
    assert installed.detour("offload", "rm", "users", "logged").returncode == 0


@pytest.mark.parametrize(
    ("right", "allowed"),
    [
        (("list", "pods", "shop", ""), True),
        (("create", "deployments.apps", "shop", ""), True),
        (("get", "secrets", "shop", "detour-sidecar-tls"), True),
        (("get", "secrets", "shop", "database"), False),
        (("list", "secrets", "shop", ""), False),
        (("delete", "pods", "shop", ""), False),
        (("list", "pods", "default", ""), False),
        (("create", "deployments.apps", "server", ""), False),
        (("get", "secrets", "server", "detour-ca"), True),
        (("patch", "leases.coordination.k8s.io", "server", "detour-server"), True),
        (("create", "clusterroles.rbac.authorization.k8s.io", "", ""), False),
        (("patch", "mutatingwebhookconfigurations.admissionregistration.k8s.io", "", "detour"), True),
        (("patch", "mutatingwebhookconfigurations.admissionregistration.k8s.io", "", "another"), False),
    ],
)
def test_the_server_may_do_what_it_needs_and_no_more(
    installed: Shop, right: tuple[str, str, str, str], allowed: bool
) -> None:
    """By the API server's own judgement."""
    verb, resource, place, name = right
    server = f"detour-{installed.namespace}"
    namespace = {"shop": installed.namespace, "server": server}.get(place, place)
    plural, _, group = resource.partition(".")
    asked = SubjectAccessReviewSpec(
        user=f"system:serviceaccount:{server}:detour",
        groups=["system:serviceaccounts", "system:authenticated"],
        resourceAttributes=ResourceAttributes(
            verb=verb, resource=plural, group=group, namespace=namespace, name=name or None
        ),
    )
    with installed.cluster.client() as client:
        assert client.create(SubjectAccessReview(spec=asked)).status.allowed == allowed


def test_one_of_two_servers_may_go(installed: Shop) -> None:
    """The other one serves on, and leads before long."""
    server = f"detour-{installed.namespace}"
    (first, *_) = _ready_servers(installed.cluster, server)
    with installed.cluster.client() as client:
        client.delete(Pod, first.metadata.name, namespace=server)
    installed.until(lambda: len(_ready_servers(installed.cluster, server)) == 2)
    assert installed.detour("offload", "ls").returncode == 0


def _ready_servers(cluster: Cluster, namespace: str) -> list[Pod]:
    with cluster.client() as client:
        found = client.list(Pod, namespace=namespace, labels={"app.kubernetes.io/name": "detour"})
        return [pod for pod in found if is_ready(pod) and not pod.metadata.deletionTimestamp]
