"""Detour as it is installed: the chart on the real API server, and everything running in pods."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from lightkube import ApiError, Client
from lightkube.codecs import from_dict
from lightkube.core.resource import GlobalResource
from lightkube.models.authorization_v1 import ResourceAttributes, SubjectAccessReviewSpec
from lightkube.resources.admissionregistration_v1 import MutatingWebhookConfiguration
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.authorization_v1 import SubjectAccessReview
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import LimitRange, Namespace, Pod, Secret, Service
from lightkube.types import PatchType

from cli.running import environment, refusal
from detour import __version__
from detour.envoy.runner import find_envoy
from detour.install import Choices, manifests
from kubernetes.chart import ROOT, chart, helm
from kubernetes.cluster import Cluster, Image, is_ready
from kubernetes.cluster.forward import forwarded
from kubernetes.shop import REGISTRY, Shop, put_images, users

ENVOY = "envoyproxy/envoy:v1.40.0"
IMAGE = f"detour:{__version__}"

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
        (
            *("--set", "database.secret=detour-database,oidc.issuer=https://a.example,oidc.clientId=detour"),
            *("--set", "oidc.roles={admin=platform-team,viewer=*}"),
        ),
        (
            *("--set", "metrics.dashboard=true,metrics.prometheus.namespace=monitoring,logLevel=debug"),
            *("--set", "extraEnv[0].name=A,extraEnv[0].value=b,extraArgs={--drain-seconds=60},podLabels.team=blue"),
            *("--set", "podSecurityContext.runAsUser=null,podSecurityContext.runAsGroup=null"),
            *("--set", "serviceAccount.annotations.a=b,service.annotations.a=b,tolerations[0].operator=Exists"),
        ),
        ("--set", "replicas=1,offload.enabled=false,injection.mode=transparent,networkPolicy.enabled=false"),
    ],
    ids=["default", "namespaces", "all", "identities", "most", "least"],
)
def test_the_api_server_accepts_it(cluster: Cluster, options: tuple[str, ...]) -> None:
    """Every object of every variant, as a server-side dry run."""
    with cluster.client(field_manager="test", dry_run=True) as client:
        for one in chart(*options):
            if one["metadata"].get("namespace") == "detour":
                one["metadata"]["namespace"] = "default"
            client.apply(from_dict(one), force=True)


def test_a_digest_decides_about_the_image() -> None:
    """For the server, and for what redirects pods in transparent mode."""
    digest = f"sha256:{'4f' * 32}"
    (server,) = (
        one for one in chart("--set", f"image.digest={digest},image.tag=v7") if one["kind"] == "Deployment"
    )
    (container,) = server["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"detour@{digest}"
    assert f"--detour-image={container['image']}" in container["args"]


def test_mistaken_values_are_refused() -> None:
    """By the chart's schema."""
    for value in (
        "image.digest=sha256:1",
        "namespaces={}",
        "namespaces={Shop}",
        "injection.mode=magic",
        "injection.logLevel=loud",
        "injection.resources.limits.cpu=much",
        "injection.resources.limits.disk=1",
        "replicas=0",
        "oidc.issuer=http://accounts.example.com",
        "oidc.issuer=https://accounts.example.com",  # and no clientId
        "oidc.roles={cook=x}",
        "typo=1",
    ):
        with pytest.raises(subprocess.CalledProcessError):
            chart("--set", value)


@pytest.fixture
def helm_at(cluster: Cluster, tmp_path: Path) -> Callable[..., str]:
    """Give Helm for the cluster, with folders of its own."""
    homes = {f"HELM_{kind}_HOME": str(tmp_path / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    known = {**environment(KUBECONFIG=str(cluster.kubeconfig)), **homes}

    def run(*arguments: str) -> str:
        command = [helm(), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=known, timeout=100)
        assert done.returncode == 0, done
        return done.stdout

    return run


def test_helm_installs_upgrades_and_uninstalls(cluster: Cluster, helm_at: Callable[..., str]) -> None:
    """An upgrade leaves the Lease to its leader; rights follow the values; `detour` keeps out; nothing stays."""
    with cluster.namespace("one") as home, cluster.namespace("two") as other, cluster.client() as client:
        where = (str(ROOT / "deploy/helm/detour"), "--namespace", home, "--set", f"namespaces={{{home},{other}}}")
        assert f"Detour serves {home}, {other}." in helm_at("install", "detour", *where)
        assert _may(cluster, home, ("create", "deployments.apps", other, ""))
        held = {"spec": {"holderIdentity": "ana", "leaseDurationSeconds": 15}}
        client.patch(Lease, "detour-server", held, namespace=home, patch_type=PatchType.MERGE)
        helm_at("upgrade", "detour", *where, "--set", "offload.enabled=false,replicas=1")
        assert client.get(Lease, "detour-server", namespace=home).spec.holderIdentity == "ana"
        assert not _may(cluster, home, ("create", "deployments.apps", other, ""))
        for command in (("install", "--namespace", home, "--server-namespace", home), ("uninstall", "--yes")):
            said = refusal(detour(cluster.kubeconfig, *command))
            assert said.startswith(f"Helm has installed Detour in namespace {home}: use helm ")
        helm_at("uninstall", "detour", "--namespace", home)
        assert not _of_detour(cluster)


def _of_detour(cluster: Cluster) -> list[str]:
    """Return what the cluster has of the chart, but for namespaces."""
    kinds = {type(from_dict(one)) for one in manifests(Choices(["x"], "x", "x"))} - {Namespace}
    labels = {"app.kubernetes.io/part-of": "detour"}
    with cluster.client() as client:
        found = [
            one
            for kind in (*kinds, Secret)
            for one in client.list(kind, namespace=None if issubclass(kind, GlobalResource) else "*", labels=labels)
        ]
    return [f"{type(one).__name__} {one.metadata.name}" for one in found if not one.metadata.deletionTimestamp]


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
        done = detour(cluster.kubeconfig, "install", "--namespace", shop, "--server-namespace", server)
        assert done.returncode == 0, (done.stdout, done.stderr, _logs(cluster, server))
        assert "Deployment detour is as it should be" in done.stdout
        with _forwarded(cluster, server) as url:
            opened = Shop(cluster, shop, url, 0)
            opened.apply(*users())
            opened.until(lambda: len(_ready(cluster, shop, "users")) == 2)
            yield opened
        with cluster.client() as client:
            client.deletecollection(Pod, namespace=server, grace_period=0)
            client.delete(Namespace, server)
            for one in manifests(Choices([shop], server, IMAGE)):
                if one["kind"].startswith(("ClusterRole", "Mutating")):
                    _delete(client, type(from_dict(one)), one["metadata"]["name"])


@contextmanager
def _forwarded(cluster: Cluster, namespace: str) -> Iterator[str]:
    """Reach the API as who may forward ports does: there one needs no token."""
    (server, *_) = _ready_servers(cluster, namespace)
    with forwarded(cluster.pids(server)["server"], 15020) as address:
        yield f"http://{address}"


def _delete(client: Client, kind: Any, name: str) -> None:
    try:
        client.delete(kind, name)
    except ApiError as error:
        if error.response.status_code != HTTPStatus.NOT_FOUND:
            raise


def detour(kubeconfig: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command with the credentials of a kubeconfig."""
    return subprocess.run(
        [sys.executable, "-m", "detour", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment(KUBECONFIG=str(kubeconfig)),
        stdin=subprocess.DEVNULL,
        timeout=200,
    )


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
            "containers": [
                {
                    "name": "web",
                    "image": "registry.test/web:1",
                    "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
                }
            ],
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
    assert [one.name for one in copy.spec.initContainers] == ["detour-redirect", "detour-sidecar"]
    assert installed.detour("offload", "rm", "users", f"pr-{mode}").returncode == 0
    assert version(f"pr-{mode}") == "503"
    status = httpx.get(f"{installed.server}/v1/status", timeout=10).json()
    assert status["cluster"]["problems"] == []


def test_pods_get_transparent_mode_where_the_namespace_admits_it(installed: Shop) -> None:
    """The API server is asked; where it refuses, pods get explicit mode, and start."""
    enforce = "pod-security.kubernetes.io/enforce"

    def given(level: str | None) -> list[str]:
        with installed.cluster.client() as client:
            labels = {"metadata": {"labels": {enforce: level}}}
            client.patch(Namespace, installed.namespace, labels, patch_type=PatchType.MERGE)
            pod = _web(f"on-{level or 'nothing'}".lower())
            del pod["metadata"]["annotations"]
            made = client.create(from_dict(pod), namespace=installed.namespace)
            client.delete(Pod, made.metadata.name, namespace=installed.namespace, grace_period=0)
            return [one.name for one in made.spec.initContainers]

    try:
        assert given("baseline") == ["detour-sidecar"]
        assert given(None) == ["detour-redirect", "detour-sidecar"]
    finally:
        with installed.cluster.client() as client:
            labels = {"metadata": {"labels": {enforce: None}}}
            client.patch(Namespace, installed.namespace, labels, patch_type=PatchType.MERGE)


LIMITS = {
    "max": {"cpu": "500m", "memory": "200Mi"},
    "min": {"cpu": "60m", "memory": "16Mi"},
    "maxLimitRequestRatio": {"cpu": "4"},
}


def test_a_limit_range_admits_pods_with_sidecars(installed: Shop) -> None:
    """The server adapts the sidecar's resources to it; annotations take precedence, and a bad one is a warning."""

    def given(name: str, **annotations: str) -> dict[str, Any]:
        pod = _web("explicit") | {"metadata": {"name": name, "annotations": annotations}}
        pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m", "memory": "64Mi"}}
        with installed.cluster.client(namespace=installed.namespace) as client:
            made = client.create(from_dict(pod))
            client.delete(Pod, name, grace_period=0)
        (sidecar,) = [one for one in made.spec.initContainers if one.name == "detour-sidecar"]
        return {"requests": sidecar.resources.requests, "limits": sidecar.resources.limits}

    kept = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "limits"}}
    installed.apply({**kept, "spec": {"limits": [{"type": "Container", "default": {"cpu": "300m"}, **LIMITS}]}})
    try:
        assert given("limited") == {
            "requests": {"cpu": "125m", "memory": "64Mi"},
            "limits": {"cpu": "500m", "memory": "200Mi"},
        }
        annotations = {"detour.dev/sidecar-cpu-limit": "240m", "detour.dev/sidecar-cpu-request": "60m"}
        assert given("chosen", **annotations)["limits"]["cpu"] == "240m"
    finally:
        with installed.cluster.client(namespace=installed.namespace) as client:
            client.delete(LimitRange, "limits")
    assert given("free")["limits"] == {"cpu": "500m", "memory": "256Mi"}


def test_a_service_names_the_sidecars_of_its_pods(installed: Shop) -> None:
    """Not their label `app`; a pod without a Service is named by its workload."""

    def cluster_of(name: str) -> str:
        pod = _web("explicit") | {"metadata": {"name": name, "labels": {"app": "another", "role": name}}}
        with installed.cluster.client(namespace=installed.namespace) as client:
            made = client.create(from_dict(pod))
            client.delete(Pod, name, grace_period=0)
        (sidecar,) = [one for one in made.spec.initContainers if one.name == "detour-sidecar"]
        return str(json.loads(sidecar.args[1])["node"]["cluster"])

    selecting = {"selector": {"role": "named"}, "ports": [{"port": 80}]}
    installed.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front"}, "spec": selecting})
    try:
        installed.until(lambda: cluster_of("named") == "front")
        assert cluster_of("alone") == "alone"
    finally:
        with installed.cluster.client(namespace=installed.namespace) as client:
            client.delete(Service, "front")


def test_a_service_that_comes_after_the_pod_names_its_sidecar(installed: Shop) -> None:
    """As soon as the sidecar connects."""
    cluster = installed.cluster

    def service() -> str:
        # The sidecar is connected to one of the servers.
        for server in _ready_servers(cluster, f"detour-{installed.namespace}"):
            with forwarded(cluster.pids(server)["server"], 15020) as address:
                envoys = httpx.get(f"http://{address}/v1/status", timeout=10).json()["envoys"]
            if found := [one["service"] for one in envoys if one["node"] == "web-late"]:
                return str(found[0])
        return ""

    installed.apply(_web("explicit") | {"metadata": {"name": "web-late", "labels": {"role": "late"}}})
    selecting = {"selector": {"role": "late"}, "ports": [{"port": 80}]}
    installed.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "late"}, "spec": selecting})
    try:
        assert installed.until(service) == "late"
    finally:
        with installed.cluster.client(namespace=installed.namespace) as client:
            client.delete(Service, "late")
            client.delete(Pod, "web-late", grace_period=0)


def test_logs_come_through_the_server(installed: Shop) -> None:
    """Users need no rights in the cluster for them."""
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
    assert _may(installed.cluster, server, (verb, resource, namespace, name)) == allowed


def _may(cluster: Cluster, server: str, right: tuple[str, str, str, str]) -> bool:
    """Return whether the server in that namespace may do something, by the API server's judgement."""
    verb, resource, namespace, name = right
    plural, _, group = resource.partition(".")
    asked = SubjectAccessReviewSpec(
        user=f"system:serviceaccount:{server}:detour",
        groups=["system:serviceaccounts", "system:authenticated"],
        resourceAttributes=ResourceAttributes(
            verb=verb, resource=plural, group=group, namespace=namespace, name=name or None
        ),
    )
    with cluster.client() as client:
        return bool(client.create(SubjectAccessReview(spec=asked)).status.allowed)


def test_installing_again_leaves_the_leader_alone(installed: Shop) -> None:
    """What is the servers' own is not written: the Lease keeps its holder, and the webhook its authority."""
    server = f"detour-{installed.namespace}"
    with installed.cluster.client() as client:

        def own() -> tuple[Any, ...]:
            spec = client.get(Lease, "detour-server", namespace=server).spec
            (webhook,) = client.get(MutatingWebhookConfiguration, "detour").webhooks
            return spec.holderIdentity, spec.acquireTime, webhook.clientConfig.caBundle

        installed.until(lambda: all(own()))
        before = own()
        kubeconfig = installed.cluster.kubeconfig
        done = detour(kubeconfig, "install", "--namespace", installed.namespace, "--server-namespace", server)
        assert done.returncode == 0, done
        assert own() == before


def test_a_cluster_has_one_installation(installed: Shop) -> None:
    """Another would take the cluster-wide objects of the first; nothing is changed."""
    kubeconfig = installed.cluster.kubeconfig
    done = detour(kubeconfig, "install", "--namespace", installed.namespace, "--server-namespace", "elsewhere")
    assert refusal(done).startswith(f"Detour is installed in namespace detour-{installed.namespace} already")


def test_a_refused_installation_names_the_missing_right(installed: Shop) -> None:
    """Which verb, on what."""
    kubeconfig = installed.cluster.kubeconfig_for(installed.namespace, "default")
    said = refusal(detour(kubeconfig, "install", "--namespace", installed.namespace))
    assert 'cannot get resource "mutatingwebhookconfigurations"' in said


def test_one_of_two_servers_may_go(installed: Shop) -> None:
    """The other one serves on, and leads before long."""
    server = f"detour-{installed.namespace}"
    (first, *_) = _ready_servers(installed.cluster, server)
    with installed.cluster.client() as client:
        client.delete(Pod, first.metadata.name, namespace=server)
    installed.until(lambda: len(_ready_servers(installed.cluster, server)) == 2)
    with _forwarded(installed.cluster, server) as url:
        assert replace(installed, server=url).detour("offload", "ls").returncode == 0


def test_the_api_wants_to_know_who_asks(installed: Shop) -> None:
    """Of those who reach it by its Service, whom nobody has let through Kubernetes."""
    with installed.cluster.client() as client:
        address = client.get(Service, "detour", namespace=f"detour-{installed.namespace}").spec.clusterIP
    said = refusal(replace(installed, server=f"http://{address}:15020").detour("offload", "ls"))
    assert "kubectl port-forward" in said


def _ready_servers(cluster: Cluster, namespace: str) -> list[Pod]:
    with cluster.client() as client:
        found = client.list(Pod, namespace=namespace, labels={"app.kubernetes.io/name": "detour"})
        return [pod for pod in found if is_ready(pod) and not pod.metadata.deletionTimestamp]


def test_uninstalling_takes_everything_of_detour_and_nothing_else(installed: Shop) -> None:
    """It lists first and needs a yes; the baseline, offloaded deployments and namespaces stay."""
    cluster, kubeconfig = installed.cluster, installed.cluster.kubeconfig
    with _forwarded(cluster, f"detour-{installed.namespace}") as url:
        words = ("offload", "create", "users", "left", "--image", f"{REGISTRY}:2")
        assert replace(installed, server=url).detour(*words).returncode == 0
    before = _of_detour(cluster)
    listed = detour(kubeconfig, "uninstall", "--dry-run")
    assert (listed.returncode, len(listed.stdout.splitlines())) == (0, 1 + len(before))
    assert "cannot ask for confirmation without a terminal" in detour(kubeconfig, "uninstall").stderr
    assert sorted(_of_detour(cluster)) == sorted(before)
    done = detour(kubeconfig, "uninstall", "--yes")
    assert done.returncode == 0, done
    assert f"Deployment users--left of namespace {installed.namespace} stays" in done.stdout
    installed.until(lambda: not _of_detour(cluster))
    with cluster.client() as client:
        assert client.get(Namespace, f"detour-{installed.namespace}")
        names = {one.metadata.name for one in client.list(Deployment, namespace=installed.namespace)}
    assert names == {"users", "users--left"}
    assert detour(kubeconfig, "uninstall").stdout == "Detour is not installed in this cluster.\n"
