"""The cluster that the other tests stand on is honest: what its status says really runs, and what runs is told."""

import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from lightkube import Client
from lightkube.codecs import from_dict
from lightkube.core.exceptions import ApiError
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Event, Node, Pod, Secret, Service
from lightkube.resources.discovery_v1 import EndpointSlice

from kubernetes.cluster import Cluster, Image, is_ready

SERVER = """
import http.server, os, signal, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        value = os.environ.get(self.path[1:], "").encode()
        content = open(self.path, "rb").read() if os.path.isfile(self.path) else value
        self.send_response(200 if self.path == "/" or content else 404)
        self.end_headers()
        self.wfile.write(content)
    def log_message(self, *words):
        print("asked", self.path, flush=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
print("listening", *sys.argv[1:], flush=True)
http.server.ThreadingHTTPServer(("", 8080), Answer).serve_forever()
"""


@pytest.fixture(scope="module", autouse=True)
def _images(cluster: Cluster) -> None:
    cluster.images["web:1"] = Image((sys.executable, "-S", "-E", "-c", SERVER))
    cluster.images["shell:1"] = Image(("/bin/sh", "-c"))


@pytest.fixture
def client(cluster: Cluster, namespace: str) -> Iterator[Client]:
    """Give a client of the test's own namespace."""
    with cluster.client(namespace=namespace) as made:
        yield made


def _pod(name: str, *containers: dict[str, Any], **spec: Any) -> Pod:
    body = {"terminationGracePeriodSeconds": 5, "containers": list(containers), **spec}
    return from_dict(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": body}
    )


def _web(name: str = "web", **more: Any) -> dict[str, Any]:
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    return {"name": name, "image": "web:1", "readinessProbe": probe, **more}


def _shell(script: str, name: str = "shell", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "shell:1", "args": [script], **more}


def _service(name: str, **spec: Any) -> Service:
    body = {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}], **spec}
    return from_dict({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": body})


def _waiting(pod: Pod) -> str:
    states = [each.state for each in (pod.status and pod.status.containerStatuses) or []]
    return next((str(state.waiting.reason) for state in states if state and state.waiting), "")


def _reasons(client: Client, pod: str) -> set[str]:
    events = client.list(Event, fields={"involvedObject.name": pod})
    return {str(event.reason) for event in events}


def _get(pod: Pod, path: str = "") -> str:
    return httpx.get(f"http://{pod.status.podIP}:8080/{path}").raise_for_status().text


def test_a_deployment_becomes_ready_and_its_pods_answer_at_the_addresses_of_its_slices(
    cluster: Cluster, client: Client, namespace: str
) -> None:
    """Two replicas are Ready, in the EndpointSlice, and answer at their addresses, the ClusterIP and its names."""
    template = {"metadata": {"labels": {"app": "users"}}, "spec": {"containers": [_web()]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "users"}}, "template": template}
    client.create(
        from_dict({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "users"}, "spec": spec})
    )
    service = client.create(_service("users"))
    cluster.wait_for(lambda: client.get(Deployment, "users").status.readyReplicas == 2, "two ready replicas")
    pods = list(client.list(Pod, labels={"app": "users"}))
    addresses = {pod.status.podIP for pod in pods}
    cluster.wait_for(lambda: _ready_addresses(client, "users") == addresses, "both addresses in the slice")

    assert len(addresses) == 2
    assert [httpx.get(f"http://{address}:8080/").status_code for address in addresses] == [200, 200]
    cluster.wait_for(lambda: _answers(service.spec.clusterIP), "an answer at the ClusterIP")
    for host in ("users", f"users.{namespace}", f"users.{namespace}.svc.cluster.local"):
        assert cluster.run_in(pods[0], "web", *_ask(f"http://{host}/")).stdout == "200\n"


def _ready_addresses(client: Client, service: str) -> set[str]:
    slices = client.list(EndpointSlice, labels={"kubernetes.io/service-name": service})
    return {
        address
        for each in slices
        for one in each.endpoints or []
        if one.conditions.ready
        for address in one.addresses
    }


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def _ask(url: str) -> list[str]:
    return [
        sys.executable,
        "-S",
        "-E",
        "-c",
        f"import urllib.request as u; print(u.urlopen({url!r}, timeout=5).status)",
    ]


def test_a_headless_service_names_its_ready_pods(cluster: Cluster, client: Client, namespace: str) -> None:
    """The cluster's DNS gives a headless Service's ready pods, and does not know a Service that is not there."""
    client.create(_pod("users", _web()))
    client.create(_service("users", clusterIP="None"))
    pod = cluster.wait_ready(namespace, "users")
    cluster.wait_for(lambda: _ready_addresses(client, "users"), "an endpoint")
    cluster.wait_for(lambda: cluster.run_in(pod, "web", "getent", "hosts", "users").stdout, "the name")

    assert cluster.run_in(pod, "web", "getent", "hosts", "users").stdout.split()[0] == pod.status.podIP
    assert cluster.run_in(pod, "web", "getent", "hosts", "unknown").returncode == 2


def test_an_image_that_is_not_there_is_told(cluster: Cluster, client: Client, namespace: str) -> None:
    """A wrong image shows as ErrImagePull, then ImagePullBackOff, with events; once it is there, the pod runs."""
    client.create(_pod("users", {"name": "app", "image": "registry/users:none"}))
    cluster.wait_for_pod(namespace, "users", lambda pod: _waiting(pod) == "ErrImagePull")
    pod = cluster.wait_for_pod(namespace, "users", lambda pod: _waiting(pod) == "ImagePullBackOff")
    assert "registry/users:none" in pod.status.containerStatuses[0].state.waiting.message
    assert pod.status.phase == "Pending"
    cluster.wait_for(lambda: _reasons(client, "users") >= {"Scheduled", "Pulling", "Failed", "BackOff"}, "events")
    cluster.images["registry/users:none"] = cluster.images["web:1"]
    try:
        cluster.wait_ready(namespace, "users")
    finally:
        del cluster.images["registry/users:none"]


def test_an_image_that_takes_a_login_is_pulled_with_the_pods_secret(
    cluster: Cluster, client: Client, namespace: str
) -> None:
    """Without its pull secret a pod does not get a private image; with it, it does."""
    cluster.images["private:1"] = Image((sys.executable, "-S", "-E", "-c", SERVER), login="me:secret")
    config = '{"auths": {"private": {"username": "me", "password": "secret"}}}'
    named = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login"},
        "type": "kubernetes.io/dockerconfigjson",
    }
    client.create(from_dict({**named, "stringData": {".dockerconfigjson": config}}))
    client.create(_pod("without", {"name": "app", "image": "private:1"}))
    client.create(_pod("with", {"name": "app", "image": "private:1"}, imagePullSecrets=[{"name": "login"}]))
    cluster.wait_ready(namespace, "with")
    cluster.wait_for_pod(namespace, "without", lambda pod: _waiting(pod) in ("ErrImagePull", "ImagePullBackOff"))


def test_a_crash_is_restarted_and_told(cluster: Cluster, client: Client, namespace: str) -> None:
    """What ends again and again is in CrashLoopBackOff, with its last status, its restarts and its last log."""
    client.create(_pod("users", _shell("echo out of luck; exit 3")))
    pod = cluster.wait_for_pod(namespace, "users", lambda pod: _waiting(pod) == "CrashLoopBackOff")
    status = pod.status.containerStatuses[0]
    assert status.restartCount >= 1
    assert status.lastState.terminated.exitCode == 3
    assert status.lastState.terminated.reason == "Error"
    with cluster.http() as http:
        log = http.get(f"/api/v1/namespaces/{namespace}/pods/users/log", params={"previous": "true"})
    assert log.text == "out of luck\n"
    cluster.wait_for(lambda: "BackOff" in _reasons(client, "users"), "a BackOff event")


def test_a_killed_container_is_not_ready_until_it_runs_again(
    cluster: Cluster, client: Client, namespace: str
) -> None:
    """Killing a container's process restarts it: the same pod is Ready again, at the same address."""
    client.create(_pod("users", _web()))
    before = cluster.wait_ready(namespace, "users")
    os.kill(cluster.pids(before)["web"], 9)
    restarted = cluster.wait_for_pod(
        namespace, "users", lambda pod: is_ready(pod) and pod.status.containerStatuses[0].restartCount == 1
    )
    assert restarted.status.containerStatuses[0].lastState.terminated.exitCode == 137
    assert restarted.status.podIP == before.status.podIP
    assert _get(restarted) == ""


def test_a_native_sidecar_starts_before_the_app_and_ends_after_it(
    cluster: Cluster, client: Client, namespace: str
) -> None:
    """Init containers run in order, a sidecar's startup probe holds back what follows, and it goes last."""
    volume = {"name": "shared", "emptyDir": {}}
    mounts = [{"name": "shared", "mountPath": "/shared"}]
    end = "trap 'echo {0} ends >> /shared/order; exit' TERM"
    note = end + "; echo {0} >> /shared/order; touch /shared/{0}; sleep 1000 & wait"
    probe = {"exec": {"command": ["test", "-e", "/shared/late"]}, "periodSeconds": 1}
    late = "(sleep 0.3; echo started >> /shared/order; touch /shared/late) & " + note.format("sidecar")
    first = [
        _shell("echo init >> /shared/order", "init", volumeMounts=mounts),
        _shell(late, "sidecar", volumeMounts=mounts, restartPolicy="Always", startupProbe=probe),
    ]
    ready = {"exec": {"command": ["test", "-e", "/shared/app"]}}
    host = {"name": "kept", "hostPath": {"path": str(cluster.logs)}}
    last = {"name": "kept", "mountPath": "/kept"}
    stop = {"preStop": {"exec": {"command": ["sh", "-c", f"echo stop > /kept/{namespace}"]}}}
    app = _shell(note.format("app"), "app", volumeMounts=[*mounts, last], readinessProbe=ready, lifecycle=stop)
    client.create(_pod("users", app, initContainers=first, volumes=[volume, host]))
    pod = cluster.wait_ready(namespace, "users")
    order = cluster.run_in(pod, "app", "cat", "/shared/order").stdout.split()
    assert order == ["init", "sidecar", "started", "app"]
    assert pod.status.initContainerStatuses[0].state.terminated.reason == "Completed"
    assert pod.status.initContainerStatuses[1].started
    shared = Path(f"/proc/{cluster.pids(pod)['sidecar']}/root", "shared/order")
    with shared.open() as kept_open:
        client.delete(Pod, "users")
        cluster.wait_for(lambda: _is_gone(client, "users"), "the pod's end")
        assert kept_open.read().split()[4:] == ["app", "ends", "sidecar", "ends"]
    assert (cluster.logs / namespace).read_text() == "stop\n"


def test_what_the_spec_says_reaches_the_process(cluster: Cluster, client: Client, namespace: str) -> None:
    """Values and references reach environment and arguments, Secrets and ConfigMaps are files, tokens are real."""
    client.create(
        from_dict(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"key": "hidden"}}
        )
    )
    client.create(
        from_dict({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"COLOUR": "blue"}})
    )
    env = [
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "URL", "value": "http://$(POD_IP):$(NONE)"},
        {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}},
    ]
    volumes = [{"name": "s", "secret": {"secretName": "s"}}, {"name": "c", "configMap": {"name": "c"}}]
    mounts = [{"name": name, "mountPath": f"/etc/{name}"} for name in ("s", "c")]
    web = _web(args=["at", "$(POD_IP)"], env=env, envFrom=[{"configMapRef": {"name": "c"}}], volumeMounts=mounts)
    client.create(_pod("users", web, volumes=volumes))
    pod = cluster.wait_ready(namespace, "users")

    address = pod.status.podIP
    asked = {
        "URL": f"http://{address}:$(NONE)",
        "APP": "users",
        "KEY": "hidden",
        "COLOUR": "blue",
        "etc/s/key": "hidden",
    }
    assert {path: _get(pod, path) for path in asked} == asked
    assert next(iter(client.log("users"))) == f"listening at {address}\n"
    account = "var/run/secrets/kubernetes.io/serviceaccount"
    assert _get(pod, f"{account}/namespace") == namespace
    token = {"Authorization": f"Bearer {_get(pod, f'{account}/token')}"}
    trust = ssl.create_default_context(cafile=str(cluster.ca))
    answer = httpx.get(f"{cluster.server}/api/v1/namespaces/{namespace}/pods", headers=token, verify=trust)
    assert f"system:serviceaccount:{namespace}:default" in answer.json()["message"]
    client.patch(Secret, "s", {"stringData": {"key": "new"}})
    cluster.wait_for(lambda: _get(pod, "etc/s/key") == "new", "the new Secret in the volume")


def test_a_pod_that_misses_its_configuration_says_so_and_starts_once_it_is_there(
    cluster: Cluster, client: Client, namespace: str
) -> None:
    """A reference to nothing is CreateContainerConfigError; made good, the pod runs."""
    client.create(_pod("users", _web(envFrom=[{"configMapRef": {"name": "late"}}])))
    cluster.wait_for_pod(namespace, "users", lambda pod: _waiting(pod) == "CreateContainerConfigError")
    client.create(
        from_dict({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}, "data": {"A": "b"}})
    )
    assert _get(cluster.wait_ready(namespace, "users"), "A") == "b"
    client.delete(ConfigMap, "late")


def test_logs_come_through_the_api_server(cluster: Cluster, client: Client, namespace: str) -> None:
    """The whole log, its last lines, and a log that is followed to the container's end."""
    client.create(
        _pod("users", _shell("for i in 1 2 3; do echo $i; done; sleep 0.3; echo 4"), restartPolicy="Never")
    )
    cluster.wait_for_pod(namespace, "users", lambda pod: pod.status.phase == "Running")
    assert list(client.log("users", follow=True)) == ["1\n", "2\n", "3\n", "4\n"]
    assert list(client.log("users", tail_lines=2)) == ["3\n", "4\n"]
    cluster.wait_for_pod(namespace, "users", lambda pod: pod.status.phase == "Succeeded")


def test_a_readiness_probe_decides_about_ready_and_the_slice(
    cluster: Cluster, client: Client, namespace: str
) -> None:
    """A pod whose probe begins to fail leaves Ready and the EndpointSlice, and comes back; its process stays."""
    probe = {"exec": {"command": ["test", "!", "-e", "/tmp/broken"]}, "periodSeconds": 1, "failureThreshold": 1}
    client.create(_pod("users", _web(readinessProbe=probe)))
    client.create(_service("users"))
    pod = cluster.wait_ready(namespace, "users")
    cluster.wait_for(lambda: _ready_addresses(client, "users"), "an endpoint")
    cluster.run_in(pod, "web", "touch", "/tmp/broken")
    cluster.wait_for_pod(namespace, "users", lambda pod: not is_ready(pod))
    cluster.wait_for(lambda: not _ready_addresses(client, "users"), "no endpoint")
    cluster.run_in(pod, "web", "rm", "/tmp/broken")
    assert cluster.wait_ready(namespace, "users").status.containerStatuses[0].restartCount == 0
    cluster.wait_for(lambda: "Unhealthy" in _reasons(client, "users"), "an Unhealthy event")


def test_a_liveness_probe_restarts(cluster: Cluster, client: Client, namespace: str) -> None:
    """A container whose liveness probe fails is ended and started anew."""
    probe = {"exec": {"command": ["test", "!", "-e", "/tmp/dead"]}, "periodSeconds": 1, "failureThreshold": 1}
    client.create(_pod("users", _web(livenessProbe=probe)))
    pod = cluster.wait_ready(namespace, "users")
    cluster.run_in(pod, "web", "touch", "/tmp/dead")
    cluster.wait_for_pod(namespace, "users", lambda pod: pod.status.containerStatuses[0].restartCount == 1)
    cluster.wait_ready(namespace, "users")


def test_a_pod_for_which_there_is_no_room_stays_pending(cluster: Cluster, client: Client, namespace: str) -> None:
    """Requests beyond the node's leave a pod Pending, Unschedulable, with what is short."""
    client.create(_pod("users", _web(resources={"requests": {"memory": "1Ti"}})))
    pod = cluster.wait_for_pod(namespace, "users", lambda pod: bool(pod.status.conditions))
    condition = pod.status.conditions[0]
    assert (condition.type, condition.status, condition.reason) == ("PodScheduled", "False", "Unschedulable")
    assert condition.message == "0/1 nodes are available: 1 Insufficient memory."
    cluster.wait_for(lambda: "FailedScheduling" in _reasons(client, "users"), "an event")


def test_a_container_may_do_what_its_security_context_says(
    cluster: Cluster, client: Client, namespace: str
) -> None:
    """With NET_ADMIN, and only so, iptables redirects the pod's own calls; runAsUser is the process's user."""
    rule = "iptables -t nat -A OUTPUT -p tcp --dport 9999 -m owner ! --uid-owner 7 -j REDIRECT --to-ports 8080"
    admin = {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]}, "runAsUser": 0}
    init = _shell(rule, "redirect", securityContext=admin)
    refused = _shell("iptables -t nat -F; test $? != 0", "refused")
    user = {"runAsUser": 1000, "runAsGroup": 1000, "runAsNonRoot": True}
    client.create(_pod("users", _web(securityContext=user), initContainers=[init, refused]))
    pod = cluster.wait_ready(namespace, "users")
    assert cluster.run_in(pod, "web", *_ask(f"http://{pod.status.podIP}:9999/")).stdout == "200\n"
    (process,) = (
        Path(f"/proc/{cluster.pids(pod)['web']}/task/{cluster.pids(pod)['web']}/children").read_text().split()
    )
    assert Path(f"/proc/{process}").stat().st_uid == 1000


def test_what_a_container_writes_is_its_own(cluster: Cluster, client: Client, namespace: str) -> None:
    """What a container writes is not on the machine nor in the next container; no symbolic link leads out."""
    names = [f"/{folder}/{namespace}" for folder in ("tmp", "etc", "run", "var/run", "dev")]
    script = "; ".join(f"echo x > {name}" for name in names)
    look = "; ".join(f"test -e {name} && echo {name}" for name in names)
    client.create(
        _pod("users", _shell(f"{look}; echo looked; sleep 1000"), initContainers=[_shell(script, "writes")])
    )
    cluster.wait_ready(namespace, "users")
    assert list(client.log("users")) == ["looked\n"]
    assert not [name for name in names if Path(name).exists()]


def test_a_deleted_pod_is_gone_with_its_processes_and_its_network(
    cluster: Cluster, client: Client, namespace: str
) -> None:
    """After a pod is gone there is none of its processes, its address answers nothing, and its link is gone."""
    client.create(_pod("users", _web(), _shell("sleep 1000 & sleep 1000 & wait", "children")))
    pod = cluster.wait_ready(namespace, "users")
    pids = [int(pid) for each in cluster.pids(pod).values() for pid in _family(each)]
    assert len(pids) == 6
    space = Path(f"/proc/{pids[0]}/ns/net").readlink()
    client.delete(Pod, "users")
    cluster.wait_for(lambda: _is_gone(client, "users"), "the pod's end")
    assert not _alive(pids)
    assert space not in _namespaces()
    cluster.wait_for(lambda: pod.status.podIP not in _routes(), "the end of the pod's route")


def _family(pid: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [pid, *(each for child in children for each in _family(child))]


def _namespaces() -> set[Path]:
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.add((process / "ns/net").readlink())
        except OSError:
            continue  # ended meanwhile
    return found


def _routes() -> str:
    return subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout


def _is_gone(client: Client, pod: str) -> bool:
    try:
        client.get(Pod, pod)
    except ApiError as error:
        return error.status.code == 404
    return False


def test_an_api_server_that_is_away_changes_nothing_that_runs(
    cluster: Cluster, client: Client, namespace: str
) -> None:
    """Pods run on while the API server is away; afterwards all goes on, also with a history that is forgotten."""
    client.create(_pod("users", _web()))
    pod = cluster.wait_ready(namespace, "users")
    version = pod.metadata.resourceVersion
    cluster.stop_api()
    assert _get(pod) == ""
    cluster.start_api()
    cluster.compact()
    client.create(_pod("payments", _web()))
    assert cluster.wait_ready(namespace, "users").metadata.uid == pod.metadata.uid
    cluster.wait_ready(namespace, "payments")
    with pytest.raises(ApiError) as gone:
        next(iter(client.watch(Pod, resource_version=version)))
    assert gone.value.status.code == 410


def test_rbac_holds_for_service_accounts(cluster: Cluster, namespace: str) -> None:
    """Who has no role may do nothing; the token says who asks."""
    with cluster.client(cluster.kubeconfig_for(namespace, "default")) as nobody, pytest.raises(ApiError) as refused:
        list(nobody.list(Node))
    assert refused.value.status.code == 403
    assert f"system:serviceaccount:{namespace}:default" in refused.value.status.message


ALONE = """
import pathlib, sys
from lightkube.codecs import from_dict
from kubernetes.cluster import Cluster, Image, node
with node.entered():
    cluster = Cluster(pathlib.Path(sys.argv[1]))
    cluster.images["sleep:1"] = Image(("sleep", "1000"))
    pod = {"metadata": {"name": "users"}, "spec": {"containers": [{"name": "app", "image": "sleep:1"}]}}
    with cluster.client() as client:
        client.create(from_dict({"apiVersion": "v1", "kind": "Pod", **pod}), namespace="default")
    cluster.wait_ready("default", "users")
    print(pathlib.Path("/proc/self/ns/net").readlink(), flush=True)
    sys.stdin.read()
    cluster.stop()
"""


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "ended"])
def test_nothing_is_left_of_a_cluster_however_its_session_ends(killed: bool, tmp_path: Path) -> None:
    """After a session's end, also by SIGKILL, none of its processes, no network namespace and no mount is left."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", ALONE, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as session:
        try:
            space = Path(session.stdout.readline().strip())
            processes = _family(session.pid)[1:]
            spaces = {Path(f"/proc/{pid}/ns/net").readlink() for pid in processes}
            assert len(spaces - {space}) == 1  # the pod's
            if killed:
                session.kill()
        finally:
            session.stdin.close()
            session.wait()
    deadline = time.monotonic() + 10
    while (_alive(processes) or _namespaces() & spaces) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _alive(processes)
    assert not _namespaces() & spaces
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def _alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}/exe").exists()]
