"""What the chart's values make of its objects, without a cluster."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from cli.running import running
from kubernetes.chart import CHART, chart, helm


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Return the one object of a kind."""
    (found,) = [one for one in objects if one["kind"] == kind]
    return found


def server(*options: str) -> dict[str, Any]:
    """Return the server's pod template."""
    return of_kind(chart(*options), "Deployment")["spec"]["template"]


@pytest.mark.parametrize(
    "value",
    [
        "nodeSelector.a=true",
        "nodeSelector.a=1",
        "podAnnotations.a=true",
        "podLabels.a=1",
        r"podLabels.app\.kubernetes\.io/name=other",
        "service.annotations.a=true",
        "serviceAccount.annotations.a=1",
        "serviceAccount.name=a",
        "affinity.node=a",
        "tolerations[0].effect=Never",
        "extraEnv[0].value=a",
        "extraEnv[0].name=a,extraEnv[0].value=1",
        "extraArgs={serve}",
        "priorityClassName=1",
        "imagePullSecrets={regcred}",
        "resources.limits.memory=much",
        "resources.limit.memory=1Gi",
        "metrics.monitor=maybe",
        "metrics.interval=often",
        "metrics.labels.release=1",
        "podSecurityContext.runAsUser=0",
        "logLevel=loud",
    ],
)
def test_values_of_the_wrong_type_are_refused(value: str) -> None:
    """By the schema, before Kubernetes refuses the objects, or accepts something else."""
    done = subprocess.run(
        [helm(), "template", "detour", str(CHART), "--set", value], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "don't meet the specifications of the schema" in done.stderr
    assert value.partition("=")[0].split(".")[0].split("[")[0] in done.stderr


def test_values_reach_the_servers_pods() -> None:
    """Each where Kubernetes has it."""
    values = {
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
        "extraArgs": ["--drain-seconds=60"],
        "extraEnv": [{"name": "DETOUR_ENDPOINT_NETWORKS", "value": "10.0.0.0/8"}],
        "logLevel": "debug",
        "nodeSelector": {"disk": "true"},
        "podLabels": {"team": "blue"},
        "priorityClassName": "high",
        "service": {"annotations": {"a": "1"}},
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn"}},
    }
    objects = chart(*(f"--set-json={name}={json.dumps(value)}" for name, value in values.items()))
    pod = of_kind(objects, "Deployment")["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert pod["metadata"]["labels"]["team"] == "blue"
    for name in ("affinity", "nodeSelector", "priorityClassName"):
        assert pod["spec"][name] == values[name]
    assert container["args"][-1] == "--drain-seconds=60"
    assert "--log-level=debug" in container["args"]
    assert container["env"][-1] == values["extraEnv"][0]
    account = of_kind(objects, "ServiceAccount")
    assert account["metadata"]["annotations"] == values["serviceAccount"]["annotations"]
    annotated = {
        one["metadata"]["name"]: one["metadata"].get("annotations") for one in objects if one["kind"] == "Service"
    }
    assert annotated == {"detour": {"a": "1"}, "detour-webhook": None}


def test_openshift_chooses_the_user() -> None:
    """Without a user id in the pod; the default satisfies the Pod Security level restricted."""
    options = ("--set", "podSecurityContext.runAsUser=null,podSecurityContext.runAsGroup=null")
    free = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert server(*options)["spec"]["securityContext"] == free
    assert server()["spec"]["securityContext"] == {**free, "runAsUser": 65532, "runAsGroup": 65532}


def test_the_resources_of_sidecars_reach_the_server() -> None:
    """One that is null is not set."""
    (container,) = server("--set", "injection.resources.limits.cpu=null,injection.logLevel=info")["spec"][
        "containers"
    ]
    assert "--sidecar-resources=requests.cpu=50m,requests.memory=64Mi,limits.memory=256Mi" in container["args"]
    assert "--sidecar-log-level=info" in container["args"]


@pytest.mark.parametrize(
    ("monitor", "kind", "endpoints"),
    [
        ("service", "ServiceMonitor", "endpoints"),
        ("pod", "PodMonitor", "podMetricsEndpoints"),
    ],
)
def test_prometheus_finds_the_servers(monitor: str, kind: str, endpoints: str) -> None:
    """By labels and ports that they have."""
    objects = chart("--set", f"metrics.monitor={monitor},metrics.labels.release=prometheus")
    made = of_kind(objects, kind)
    assert made["metadata"]["labels"]["release"] == "prometheus"
    assert made["spec"][endpoints] == [{"port": "http-api", "path": "/metrics", "interval": "30s"}]
    wanted = made["spec"]["selector"]["matchLabels"].items()
    pod = of_kind(objects, "Deployment")["spec"]["template"]
    services = [one for one in objects if one["kind"] == "Service"]
    assert all(wanted <= one["metadata"]["labels"].items() for one in (*services, pod))
    ports = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
    assert "http-api" in ports & {port["name"] for one in services for port in one["spec"]["ports"]}


def test_the_network_policy_admits_the_named_prometheus() -> None:
    """And no other pod of its namespace."""
    policy = of_kind(chart("--set", "metrics.prometheus.namespace=monitoring"), "NetworkPolicy")
    assert policy["spec"]["ingress"][-1]["from"] == [
        {"podSelector": {}},
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}},
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
        },
    ]


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Return the names of the series that a real server has."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "mesh.yaml").write_text("services: {}\n")
    options = ("--mesh", str(folder / "mesh.yaml"), "--xds", "127.0.0.1:0", "--api", "127.0.0.1:0")
    with running(folder / "server.log", "serve", *options) as process:
        url = process.wait_for(r"page and API at (http://\S+)")[1]
        httpx.get(f"{url}/v1/status", timeout=20)
        text = httpx.get(f"{url}/metrics", timeout=20).text
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    parts = [
        f"{name}_{part}" for name, kind in kinds.items() if kind == "histogram" for part in ("bucket", "count")
    ]
    return {*kinds, *parts}


def expressions() -> list[str]:
    """Return the expressions of the alert rules and of the dashboard."""
    objects = chart("--set", "metrics.rules=true,metrics.dashboard=true")
    rules = [
        rule["expr"] for group in of_kind(objects, "PrometheusRule")["spec"]["groups"] for rule in group["rules"]
    ]
    dashboard = json.loads(of_kind(objects, "ConfigMap")["data"]["detour.json"])
    return [*rules, *(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])]


def test_rules_and_dashboard_use_metrics_that_exist(metrics: set[str]) -> None:
    """With the names that the server gives them."""
    used = {name for one in expressions() for name in re.findall(r"detour_\w+", one)}
    assert len(used) > 10
    assert used - metrics == set()


def test_prometheus_understands_every_expression(tmp_path: Path) -> None:
    """Those of the dashboard as recording rules."""
    promtool = shutil.which("promtool")
    assert promtool, "run tests/kubernetes/tools/build.sh, which installs Debian's prometheus"
    spec = of_kind(chart("--set", "metrics.rules=true"), "PrometheusRule")["spec"]
    recorded = [{"record": f"test:expression:{number}", "expr": one} for number, one in enumerate(expressions())]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [*spec["groups"], {"name": "recorded", "rules": recorded}]}))
    done = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert f"SUCCESS: {len(spec['groups'][0]['rules']) + len(recorded)} rules found" in done.stdout + done.stderr
