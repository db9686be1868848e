"""From a live Deployment to its copy."""

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from detour.offload.kubernetes import copying
from detour.offload.kubernetes.baselines import find_baseline as find_workload
from detour.offload.kubernetes.baselines import workloads
from detour.offload.kubernetes.copying import Wanted, object_name
from detour.offload.kubernetes.errors import CannotCopyError
from detour.offload.kubernetes.selectors import of_services

EXPIRES = datetime(2030, 1, 1, tzinfo=UTC)
WANTED = Wanted("users", "pr-42", "reg.test:5000/users:4f2a9c1", "ana", EXPIRES, "roll-1", commit="4f2a9c1")
USERS = {"metadata": {"name": "users"}, "spec": {"selector": {"app": "users"}}}


def baseline(**changes: Any) -> dict[str, Any]:
    """Return a Deployment as the API gives it, with things in it that Detour knows nothing of."""
    labels = {"app": "users", "tier": "backend", "helm.sh/chart": "users-1.0"}
    template = {
        "metadata": {
            "labels": {**labels, "pod-template-hash": "abc"},
            "annotations": {"prometheus.io/scrape": "true", "kubectl.kubernetes.io/restartedAt": "2029"},
        },
        "spec": {
            "serviceAccountName": "users",
            "containers": [
                {
                    "name": "app",
                    "image": "reg.test:5000/users:1",
                    "args": ["serve"],
                    "env": [{"name": "COLOUR", "value": "red"}, {"name": "DB", "valueFrom": {"secretKeyRef": {}}}],
                    "readinessProbe": {"httpGet": {"port": 8080}},
                    "inventedTomorrow": {"kept": True},
                },
                {"name": "istio-proxy", "image": "istio/proxy"},
            ],
            "volumes": [{"name": "config", "configMap": {"name": "users"}}],
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "users",
            "namespace": "shop",
            "uid": "1",
            "resourceVersion": "9",
            "labels": labels,
            "annotations": {"deployment.kubernetes.io/revision": "7", "team": "people"},
        },
        "spec": {"replicas": 12, "selector": {"matchLabels": {"app": "users"}}, "template": template, **changes},
        "status": {"replicas": 12},
    }


def make_copy(live: dict[str, Any], services: list[dict[str, Any]], wanted: Wanted) -> dict[str, Any]:
    """Return the Deployment of a copy among Services."""
    return copying.make_copy(live, of_services(services), wanted).deployment


def find_baseline(service: dict[str, Any], deployments: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the Deployment behind a Service that has no ready pod."""
    return find_workload(service, workloads(deployments, {}), {}).source


def copied(services: list[dict[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
    """Return the copy of that Deployment, with other things wanted."""
    values = {name: getattr(WANTED, name) for name in WANTED.__slots__}
    return make_copy(baseline(), services or [USERS], Wanted(**{**values, **changes}))


def test_the_copy_is_what_the_baseline_is() -> None:
    """With another image and one replica; what this Detour has never heard of is there too."""
    before, spec = baseline()["spec"]["template"]["spec"], copied()["spec"]
    after = spec["template"]["spec"]
    assert spec["replicas"] == 1
    assert after["containers"][0].pop("image") == "reg.test:5000/users:4f2a9c1"
    assert before["containers"][0].pop("image") == "reg.test:5000/users:1"
    assert after == before


def test_the_copy_is_its_own() -> None:
    """Its labels select it, annotations name its owner, and tools that manage the baseline leave it alone."""
    made = copied(keep=True)
    assert made["metadata"] == {
        "name": "users--pr-42",
        "namespace": "shop",
        "labels": {
            "app": "users",
            "tier": "backend",
            "detour.dev/offloaded": "pr-42",
            "detour.dev/service": "users",
            "app.kubernetes.io/managed-by": "detour",
        },
        "annotations": {
            "team": "people",
            "detour.dev/owner": "ana",
            "detour.dev/commit": "4f2a9c1",
            "detour.dev/expires": "2030-01-01T00:00:00+00:00",
            "detour.dev/roll": "roll-1",
            "detour.dev/copy-of": "users",
            "detour.dev/keep": "true",
        },
    }
    assert made["spec"]["selector"]["matchLabels"].items() <= made["spec"]["template"]["metadata"]["labels"].items()
    assert "status" not in made


def test_no_service_selects_it() -> None:
    """As few labels as possible are changed: network policies go by them."""
    people = {"metadata": {"name": "people"}, "spec": {"selector": {"app": "users", "tier": "backend"}}}
    labels = copied([USERS, people])["spec"]["template"]["metadata"]["labels"]
    assert labels == {
        "app": "users--pr-42",
        "tier": "backend",
        "detour.dev/offloaded": "pr-42",
        "detour.dev/service": "users",
    }
    everything = {"metadata": {"name": "tier"}, "spec": {"selector": {"tier": "backend"}}}
    labels = copied([USERS, people, everything])["spec"]["template"]["metadata"]["labels"]
    assert (labels["app"], labels["tier"]) == ("users--pr-42", "backend--pr-42")


LABELS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["x", "y", "z" * 63]), max_size=4)


@given(LABELS, st.lists(LABELS, max_size=5))
def test_no_service_selects_any_copy(labels: dict[str, str], selectors: list[dict[str, str]]) -> None:
    """Whatever labels and selectors there are; values stay valid."""
    one = deepcopy(baseline())
    one["spec"]["template"]["metadata"]["labels"] = labels
    services = [
        {"metadata": {"name": str(n)}, "spec": {"selector": selector}} for n, selector in enumerate(selectors)
    ]
    made = make_copy(one, services, WANTED)["spec"]["template"]["metadata"]["labels"]
    assert not any(selector and selector.items() <= made.items() for selector in selectors)
    assert max(len(value) for value in made.values()) <= 63


def test_options_change_the_main_container() -> None:
    """Others stay as they are."""
    made = copied(env={"COLOUR": "blue", "NEW": "1"}, replicas=2, command="python -m 'my app'", pull_secret="reg")
    spec = made["spec"]["template"]["spec"]
    container = spec["containers"][0]
    assert container["env"] == [
        {"name": "COLOUR", "value": "blue"},
        {"name": "DB", "valueFrom": {"secretKeyRef": {}}},
        {"name": "NEW", "value": "1"},
    ]
    assert (container["command"], "args" in container) == (["python", "-m", "my app"], False)
    assert (spec["imagePullSecrets"], made["spec"]["replicas"]) == ([{"name": "reg"}], 2)


def two_containers(image: str) -> dict[str, Any]:
    """Return a baseline with a second container."""
    one = baseline()
    one["spec"]["template"]["spec"]["containers"].append({"name": "cache", "image": image})
    return one


def test_the_image_is_for_the_container_of_its_repository() -> None:
    """Whatever its tag, its digest or its registry's port."""
    made = make_copy(two_containers("reg.test:5000/cache@sha256:1"), [USERS], WANTED)
    assert [one["image"] for one in made["spec"]["template"]["spec"]["containers"]] == [
        "reg.test:5000/users:4f2a9c1",
        "istio/proxy",
        "reg.test:5000/cache@sha256:1",
    ]


def test_or_for_the_one_that_is_named_or_annotated() -> None:
    """Where that is not clear it is asked for."""
    other = Wanted("users", "pr-42", "elsewhere/people:1", "ana", EXPIRES, "roll-1")
    two = two_containers("x")
    with pytest.raises(
        CannotCopyError, match="for which container is the image\\? Say --container with one of app, cache"
    ):
        make_copy(two, [USERS], other)
    two["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] = "cache"
    assert (
        make_copy(two, [USERS], other)["spec"]["template"]["spec"]["containers"][2]["image"] == "elsewhere/people:1"
    )
    assert copied(container="app")["spec"]["template"]["spec"]["containers"][0]["image"] == WANTED.image
    with pytest.raises(CannotCopyError, match="the pod has no container nosuch; its containers: app"):
        copied(container="nosuch")


@pytest.mark.parametrize("name", ["PR-42", "pr_42", "pr.42", "-pr", "pr-", "", "x" * 64])
def test_what_is_no_dns_label_is_no_name(name: str) -> None:
    """Names of pods are made of it."""
    with pytest.raises(
        CannotCopyError, match="cannot name a deployment in Kubernetes: expected at most 63 lower-case"
    ):
        object_name("users", name)


def test_a_command_that_cannot_be_split_is_refused() -> None:
    """A quote may be missing."""
    with pytest.raises(CannotCopyError, match="cannot be split into words: No closing quotation"):
        copied(command="python 'app")


def test_the_baseline_is_the_deployment_that_the_service_selects() -> None:
    """Never an offloaded one; of several the one with the service's name."""
    offloaded, canary = copied(), baseline()
    offloaded["spec"]["template"]["metadata"]["labels"] = {"app": "users"}
    canary["metadata"]["name"] = "users-canary"
    assert find_baseline(USERS, [offloaded, canary]) is canary
    assert find_baseline(USERS, [canary, baseline()])["metadata"]["name"] == "users"
    second = deepcopy(canary)
    second["metadata"]["name"] = "users-next"
    with pytest.raises(
        CannotCopyError, match=r"several workloads .* --from, of users-canary \(0 ready\), users-next \(0 ready\)"
    ):
        find_baseline(USERS, [canary, second])


def test_a_baseline_has_the_labels_of_the_selector_or_more() -> None:
    """Deployments without labels are none."""
    bare: dict[str, Any] = {"metadata": {"name": "bare", "labels": None}, "spec": {"template": {"metadata": {}}}}
    just = deepcopy(bare)
    just["spec"]["template"]["metadata"] = {"labels": {"app": "users"}}
    assert find_baseline(USERS, [bare, just]) is just
    with pytest.raises(CannotCopyError, match="no Deployment is behind Service users"):
        find_baseline(USERS, [bare])


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ({"metadata": {"name": "users"}, "spec": {}}, "Service users has no selector, so it has no Deployment"),
        ({"metadata": {"name": "db"}, "spec": {"selector": {"app": "db"}}}, "no Deployment is behind Service db"),
    ],
)
def test_where_there_is_nothing_to_copy_another_way_is_named(service: dict[str, Any], message: str) -> None:
    """Endpoints can be registered for any service."""
    with pytest.raises(CannotCopyError, match=rf"{message}.*detour offload add"):
        find_baseline(service, [baseline()])


FULL = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: users-live
  generateName: users-
  namespace: shop
  uid: 7c1d
  resourceVersion: "9"
  generation: 4
  creationTimestamp: "2029-01-01T00:00:00Z"
  finalizers: [foregroundDeletion]
  ownerReferences: [{apiVersion: shop.test/v1, kind: Shop, name: shop, uid: "1"}]
  managedFields: [{manager: kubectl}]
  labels: {app: users, tier: backend, app.kubernetes.io/instance: shop, app.kubernetes.io/part-of: shop}
  annotations: {team: people, deployment.kubernetes.io/revision: "7"}
spec:
  replicas: 12
  paused: true
  minReadySeconds: 700
  revisionHistoryLimit: 3
  progressDeadlineSeconds: 900
  strategy: {type: Recreate}
  selector: {matchLabels: {app: users}, matchExpressions: [{key: tier, operator: Exists}]}
  template:
    metadata:
      name: nobody-reads-this
      creationTimestamp: null
      labels: {app: users, tier: backend, app.kubernetes.io/instance: shop, pod-template-hash: abc}
      annotations:
        prometheus.io/scrape: "true"
        checksum/config: 4be1
        kubectl.kubernetes.io/restartedAt: "2029-01-01T00:00:00Z"
        kubectl.kubernetes.io/default-container: app
    spec:
      serviceAccountName: users
      automountServiceAccountToken: false
      priorityClassName: high
      schedulerName: slow
      runtimeClassName: gvisor
      nodeSelector: {disk: ssd}
      affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: []}}
      tolerations: [{key: dedicated, operator: Exists}]
      topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]
      hostAliases: [{ip: 10.0.0.9, hostnames: [db]}]
      hostname: users
      subdomain: people
      dnsPolicy: None
      dnsConfig: {nameservers: [10.0.0.10]}
      shareProcessNamespace: true
      enableServiceLinks: false
      restartPolicy: Always
      terminationGracePeriodSeconds: 45
      securityContext: {runAsNonRoot: true, fsGroup: 2000}
      imagePullSecrets: [{name: live}]
      readinessGates: [{conditionType: shop.test/ready}]
      volumes:
      - {name: config, configMap: {name: users}}
      - {name: keys, secret: {secretName: users-keys, defaultMode: 288}}
      - {name: data, persistentVolumeClaim: {claimName: users}}
      initContainers:
      - {name: migrate, image: reg.test:5000/users:1, command: [migrate], env: [{name: COLOUR, value: red}]}
      - {name: log, image: fluent, restartPolicy: Always}
      containers:
      - name: app
        image: reg.test:5000/users:1
        imagePullPolicy: Always
        workingDir: /srv
        command: [users]
        args: [serve]
        stdin: true
        ports: [{name: http, containerPort: 8080}]
        envFrom: [{configMapRef: {name: users}}]
        resources: {requests: {cpu: 100m}, limits: {memory: 1Gi}}
        volumeMounts: [{name: config, mountPath: /etc/users}, {name: data, mountPath: /data}]
        livenessProbe: {httpGet: {path: /live, port: http}}
        readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 2}
        startupProbe: {tcpSocket: {port: http}}
        lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}
        securityContext: {readOnlyRootFilesystem: true}
        terminationMessagePolicy: FallbackToLogsOnError
        inventedTomorrow: {kept: true}
      - name: cache
        image: redis:7
        env: [{name: COLOUR, value: green}]
status: {replicas: 12, readyReplicas: 12}
"""
"""A Deployment with something in every place that a copy could forget, take over wrongly, or share."""

FULL_COPY = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: users--pr-42
  namespace: shop
  labels:
    app: users
    tier: backend
    app.kubernetes.io/part-of: shop
    app.kubernetes.io/managed-by: detour
    detour.dev/offloaded: pr-42
    detour.dev/service: users
  annotations:
    team: people
    detour.dev/owner: ana
    detour.dev/expires: "2030-01-01T00:00:00+00:00"
    detour.dev/roll: roll-1
    detour.dev/commit: 4f2a9c1
    detour.dev/copy-of: users-live
spec:
  replicas: 3
  revisionHistoryLimit: 3
  progressDeadlineSeconds: 600
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  selector: {matchLabels: {detour.dev/offloaded: pr-42, detour.dev/service: users}}
  template:
    metadata:
      labels:
        app: users--pr-42
        tier: backend
        app.kubernetes.io/instance: shop
        detour.dev/offloaded: pr-42
        detour.dev/service: users
      annotations:
        prometheus.io/scrape: "true"
        checksum/config: 4be1
        kubectl.kubernetes.io/default-container: app
        detour.dev/owner: ana
        detour.dev/expires: "2030-01-01T00:00:00+00:00"
        detour.dev/roll: roll-1
        detour.dev/commit: 4f2a9c1
    spec:
      serviceAccountName: users
      automountServiceAccountToken: false
      priorityClassName: high
      schedulerName: slow
      runtimeClassName: gvisor
      nodeSelector: {disk: ssd}
      affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: []}}
      tolerations: [{key: dedicated, operator: Exists}]
      topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]
      hostAliases: [{ip: 10.0.0.9, hostnames: [db]}]
      hostname: users
      subdomain: people
      dnsPolicy: None
      dnsConfig: {nameservers: [10.0.0.10]}
      shareProcessNamespace: true
      enableServiceLinks: false
      restartPolicy: Always
      terminationGracePeriodSeconds: 45
      securityContext: {runAsNonRoot: true, fsGroup: 2000}
      imagePullSecrets: [{name: live}, {name: previews}]
      readinessGates: [{conditionType: shop.test/ready}]
      volumes:
      - {name: config, configMap: {name: users}}
      - {name: keys, secret: {secretName: users-keys, defaultMode: 288}}
      - {name: data, persistentVolumeClaim: {claimName: users}}
      initContainers:
      - {name: migrate, image: reg.test:5000/users:1, command: [migrate], env: [{name: COLOUR, value: red}]}
      - {name: log, image: fluent, restartPolicy: Always}
      containers:
      - name: app
        image: reg.test:5000/users:4f2a9c1
        imagePullPolicy: Always
        workingDir: /srv
        command: [users, "--colour", "light blue"]
        stdin: true
        ports: [{name: http, containerPort: 8080}]
        env: [{name: COLOUR, value: blue}]
        envFrom: [{configMapRef: {name: users}}]
        resources: {requests: {cpu: 100m}, limits: {memory: 1Gi}}
        volumeMounts: [{name: config, mountPath: /etc/users}, {name: data, mountPath: /data}]
        livenessProbe: {httpGet: {path: /live, port: http}}
        readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 2}
        startupProbe: {tcpSocket: {port: http}}
        lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}
        securityContext: {readOnlyRootFilesystem: true}
        terminationMessagePolicy: FallbackToLogsOnError
        inventedTomorrow: {kept: true}
      - name: cache
        image: redis:7
        env: [{name: COLOUR, value: green}]
"""


def test_a_copy_field_by_field() -> None:
    """All that must be carried over, and nothing that must not; the baseline stays as it was."""
    live = yaml.safe_load(FULL)
    wanted = replace(
        WANTED, env={"COLOUR": "blue"}, replicas=3, command="users --colour 'light blue'", pull_secret="previews"
    )
    made = make_copy(live, [USERS], wanted)
    assert made == yaml.safe_load(FULL_COPY)
    assert live == yaml.safe_load(FULL)
    for one in (made["spec"]["template"], made["spec"]["template"]["spec"]["containers"][0]):
        one.clear()
    assert live == yaml.safe_load(FULL)


def test_a_copy_of_nearly_nothing() -> None:
    """Neither labels, annotations, env nor a namespace need be there, or they are null."""
    bare = """\
    metadata: {name: users, labels: null, annotations: null}
    spec:
      template:
        metadata: {labels: {app: users}}
        spec: {containers: [{name: app, image: users, env: null}], imagePullSecrets: null}
    """
    wanted = Wanted("users", "a", "users:2", "", EXPIRES, "1", env={"A": "1", "B": "2"}, pull_secret="reg")
    headless = {"metadata": {"name": "db"}, "spec": {}}
    assert make_copy(yaml.safe_load(bare), [headless], wanted) == yaml.safe_load("""\
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: users--a
      namespace: ""
      labels: {app.kubernetes.io/managed-by: detour, detour.dev/offloaded: a, detour.dev/service: users}
      annotations:
        detour.dev/expires: "2030-01-01T00:00:00+00:00"
        detour.dev/roll: "1"
        detour.dev/copy-of: users
    spec:
      replicas: 1
      progressDeadlineSeconds: 600
      strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
      selector: {matchLabels: {detour.dev/offloaded: a, detour.dev/service: users}}
      template:
        metadata:
          labels: {app: users, detour.dev/offloaded: a, detour.dev/service: users}
          annotations: {detour.dev/expires: "2030-01-01T00:00:00+00:00", detour.dev/roll: "1"}
        spec:
          containers: [{name: app, image: users:2, env: [{name: A, value: "1"}, {name: B, value: "2"}]}]
          imagePullSecrets: [{name: reg}]
    """)


def test_without_options_a_container_keeps_what_it_has() -> None:
    """No env appears where there was none, and the command and its arguments stay."""
    live = yaml.safe_load(FULL)
    live["spec"]["template"]["spec"]["containers"][0].pop("envFrom")
    made = make_copy(live, [USERS], WANTED)["spec"]["template"]["spec"]
    assert "env" not in made["containers"][0]
    assert (made["containers"][0]["command"], made["containers"][0]["args"]) == (["users"], ["serve"])
    assert made["imagePullSecrets"] == [{"name": "live"}]


def test_variables_stay_in_their_order() -> None:
    """Kubernetes replaces `$(HOST)` in a variable only by one that stands before it."""
    live = baseline()
    live["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
        {"name": "URL", "value": "http://$(HOST)/"},
    ]
    wanted = replace(WANTED, env={"NEW": "$(URL)/new", "HOST": "db"})
    (container, _) = make_copy(live, [USERS], wanted)["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [
        {"name": "HOST", "value": "db"},
        {"name": "URL", "value": "http://$(HOST)/"},
        {"name": "NEW", "value": "$(URL)/new"},
    ]


def test_a_pull_secret_that_is_there_is_not_added_twice() -> None:
    """Lists of Kubernetes have one object of a name."""
    live = yaml.safe_load(FULL)
    made = make_copy(live, [USERS], replace(WANTED, pull_secret="live"))
    assert made["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "live"}]


FOREIGN = [
    "argocd.argoproj.io/tracking-id",
    "argocd.argoproj.io/instance",
    "argocd.argoproj.io/sync-wave",
    "kustomize.toolkit.fluxcd.io/name",
    "kustomize.toolkit.fluxcd.io/namespace",
    "helm.toolkit.fluxcd.io/name",
    "fluxcd.io/sync-gc-mark",
    "meta.helm.sh/release-name",
    "meta.helm.sh/release-namespace",
    "helm.sh/chart",
    "helm.sh/hook",
    "app.kubernetes.io/managed-by",
    "applyset.kubernetes.io/part-of",
    "kapp.k14s.io/app",
    "objectset.rio.cattle.io/hash",
    "configmanagement.gke.io/managed",
    "configsync.gke.io/resource-id",
    "tanka.dev/environment",
    "kubectl.kubernetes.io/last-applied-configuration",
    "kubectl.kubernetes.io/restartedAt",
    "deployment.kubernetes.io/revision",
    "pod-template-hash",
    "addonmanager.kubernetes.io/mode",
    "config.k8s.io/owning-inventory",
    "config.kubernetes.io/depends-on",
    "client.lifecycle.config.k8s.io/mutation",
    "kappctrl.k14s.io/app",
    "keel.sh/policy",
    "objectset.rio.cattle.io/owner-name",
    "fleet.cattle.io/bundle-id",
    "olm.owner",
    "moniker.spinnaker.io/application",
]
"""By these Argo CD, Flux, Helm and others know what is theirs, and delete what their sources do not have."""

OWN = [
    "team",
    "prometheus.io/scrape",
    "argocd.example.com/mine",
    "myhelm.sh/chart",
    "app.kubernetes.io/name",
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/version",
    "keel.sh.example.com/policy",
    "fluxcd.io",
    "kubectl.kubernetes.io/default-container",
]
"""These say something of the application."""


@pytest.mark.parametrize("key", FOREIGN)
def test_who_manages_the_baseline_does_not_take_the_copy_for_its_own(key: str) -> None:
    """Neither by labels nor by annotations, of the Deployment or of its pods."""
    for found in _metadata_with(key):
        assert key not in found or found[key] == "detour"


@pytest.mark.parametrize("key", OWN)
def test_what_the_application_says_of_itself_stays(key: str) -> None:
    """In all four places."""
    assert [found[key] for found in _metadata_with(key)] == ["app"] * 4


def test_the_label_by_which_argo_cd_knows_its_own_stays_on_pods_only() -> None:
    """Network policies go by it; Argo CD looks at the Deployment."""
    key = "app.kubernetes.io/instance"
    labels, annotations, *pods = _metadata_with(key)
    assert key not in labels
    assert [found[key] for found in (annotations, *pods)] == ["app"] * 3


def _metadata_with(key: str) -> list[dict[str, str]]:
    """Return the labels and annotations of a copy and of its pods; the baseline has this key in all four."""
    live = baseline()
    for metadata in (live["metadata"], live["spec"]["template"]["metadata"]):
        metadata["labels"][key] = metadata["annotations"][key] = "app"
    made = make_copy(live, [USERS], WANTED)
    both = (made["metadata"], made["spec"]["template"]["metadata"])
    return [metadata[kind] for metadata in both for kind in ("labels", "annotations")]


def test_an_expiry_is_written_in_utc() -> None:
    """In every time zone."""
    there = datetime(2030, 1, 1, 1, 0, 0, 999, tzinfo=timezone(timedelta(hours=2)))
    made = copied(expires=there)["metadata"]["annotations"]
    assert made["detour.dev/expires"] == "2029-12-31T23:00:00+00:00"


@pytest.mark.parametrize("name", ["a", "7", "pr-42", "x" * 63])
def test_a_dns_label_is_a_name(name: str) -> None:
    """Of at most 63 characters."""
    assert object_name("users", name) == f"users--{name}"


@pytest.mark.parametrize(
    ("live", "wanted"),
    [
        ("users", "users:2"),
        ("users:1", "users"),
        ("users@sha256:1", "users:2"),
        ("users:1@sha256:1", "users@sha256:2"),
        ("reg.test:5000/a/users", "reg.test:5000/a/users:2"),
    ],
)
def test_repositories_are_compared_without_tags_and_digests(live: str, wanted: str) -> None:
    """The port of a registry is not a tag."""
    made = make_copy(two_containers(live), [USERS], replace(WANTED, image=wanted))
    assert [one["image"] for one in made["spec"]["template"]["spec"]["containers"]][-1] == wanted


@pytest.mark.parametrize(
    ("live", "wanted"),
    [("reg.test:5000", "reg.test"), ("reg.test:5000/a", "reg.test:5001/a"), ("a/users", "users")],
)
def test_other_repositories_are_not_the_same(live: str, wanted: str) -> None:
    """Which container is meant has to be said."""
    with pytest.raises(CannotCopyError, match="for which container is the image"):
        make_copy(two_containers(live + "/x"), [USERS], replace(WANTED, image=wanted + "/x"))


def test_long_labels_stay_apart_when_they_are_shortened() -> None:
    """What is cut off counts in a hash."""
    values = []
    for end in "bc":
        live = baseline()
        live["spec"]["template"]["metadata"]["labels"] = {"app": "a" * 62 + end}
        service = {"metadata": {"name": "users"}, "spec": {"selector": {"app": "a" * 62 + end}}}
        values.append(make_copy(live, [service], WANTED)["spec"]["template"]["metadata"]["labels"]["app"])
    assert [len(value) for value in values] == [63, 63]
    assert values[0] != values[1]
    assert values[0].startswith("a" * 54 + "-")


def test_of_labels_that_would_do_that_of_the_instance_is_changed() -> None:
    """The label of most selectors is changed; of several, that of the instance, which says least."""
    live = baseline()
    live["spec"]["template"]["metadata"]["labels"] = {"app": "users", "x/instance": "live", "zone": "a"}
    selector = {"app": "users", "x/instance": "live", "zone": "a"}
    service = {"metadata": {"name": "users"}, "spec": {"selector": selector}}
    labels = make_copy(live, [service], WANTED)["spec"]["template"]["metadata"]["labels"]
    assert (labels["app"], labels["x/instance"], labels["zone"]) == ("users", "live--pr-42", "a")
    first = {"metadata": {"name": "first"}, "spec": {"selector": {"zone": "a", "app": "users"}}}
    labels = make_copy(live, [first], WANTED)["spec"]["template"]["metadata"]["labels"]
    assert (labels["app"], labels["x/instance"], labels["zone"]) == ("users--pr-42", "live", "a")


@pytest.mark.parametrize("sidecar", ["detour-sidecar", "istio-proxy", "linkerd-proxy", "queue-proxy"])
def test_a_sidecar_is_never_the_main_container(sidecar: str) -> None:
    """Not even if it is the first, or asked for."""
    live = baseline()
    containers = live["spec"]["template"]["spec"]["containers"]
    args = ["--config-yaml", '{"node":{}}']
    containers[:] = [{"name": sidecar, "image": "elsewhere/people:0", "args": args}, containers[0]]
    made = make_copy(live, [USERS], replace(WANTED, image="elsewhere/people:1"))
    assert [one["image"] for one in made["spec"]["template"]["spec"]["containers"]] == [
        "elsewhere/people:0",
        "elsewhere/people:1",
    ]
    with pytest.raises(CannotCopyError, match=f"the pod has no container {sidecar}; its containers: app"):
        make_copy(live, [USERS], replace(WANTED, container=sidecar))


def test_a_label_of_63_characters_is_not_shortened() -> None:
    """One more is."""
    for length, is_kept in ((63 - len("--pr-42"), True), (64 - len("--pr-42"), False)):
        live = baseline()
        live["spec"]["template"]["metadata"]["labels"] = {"app": "a" * length}
        service = {"metadata": {"name": "users"}, "spec": {"selector": {"app": "a" * length}}}
        made = make_copy(live, [service], WANTED)["spec"]["template"]["metadata"]["labels"]["app"]
        assert (len(made), made.endswith("--pr-42")) == (63, is_kept)


def test_the_label_of_most_selectors_is_changed_even_beside_that_of_the_instance() -> None:
    """Then one change is enough."""
    live = baseline()
    live["spec"]["template"]["metadata"]["labels"] = {"app": "users", "x/instance": "live"}
    services = [
        {"metadata": {"name": "all"}, "spec": {"selector": {"app": "users"}}},
        {"metadata": {"name": "live"}, "spec": {"selector": {"app": "users", "x/instance": "live"}}},
    ]
    labels = make_copy(live, services, WANTED)["spec"]["template"]["metadata"]["labels"]
    assert (labels["app"], labels["x/instance"]) == ("users--pr-42", "live")


def test_errors_say_what_to_do_in_whole_sentences() -> None:
    """Word for word: people read them in a terminal."""
    two = two_containers("x")
    two["spec"]["template"]["metadata"]["annotations"] = None
    create = "create pods with the labels detour.dev/offloaded: NAME and detour.dev/service:"
    register = "yourself, or register instances with detour offload add"
    second = {**baseline(), "metadata": {"name": "users-b"}}
    first = {**baseline(), "metadata": {"name": "users-a"}}
    no_selector = {"metadata": {"name": "db"}, "spec": {}}
    attempts = {
        "for which container is the image? Say --container with one of app, cache": lambda: make_copy(
            two, [USERS], replace(WANTED, image="elsewhere/people:1")
        ),
        "the pod has no container x; its containers: app, cache": lambda: make_copy(
            two, [USERS], replace(WANTED, container="x")
        ),
        'the command "\'" cannot be split into words: No closing quotation': lambda: copied(command="'"),
        f"Service db has no selector, so it has no Deployment to copy; {create} db {register}": lambda: (
            find_baseline(no_selector, [])
        ),
        f"no Deployment is behind Service users, nor another workload; {create} users {register}": lambda: (
            find_baseline(USERS, [])
        ),
        "several workloads are behind Service users: choose one with --from, of users-a (0 ready),"
        " users-b (0 ready)": (lambda: find_baseline(USERS, [second, first])),
        "'a.b' cannot name a deployment in Kubernetes: expected at most 63 lower-case letters, digits and dashes,"
        " the first and last not a dash": lambda: object_name("users", "a.b"),
    }
    for words, attempt in attempts.items():
        with pytest.raises(CannotCopyError) as error:
            attempt()
        assert str(error.value) == words


def test_what_is_wanted_by_default() -> None:
    """Nothing but another image."""
    made = Wanted("users", "pr-42", "users:2", "ana", EXPIRES, "1")
    assert (made.commit, made.env, made.replicas, made.command) == ("", {}, 1, "")
    assert (made.pull_secret, made.container, made.keep) == ("", "", False)


def test_a_command_for_a_container_without_arguments() -> None:
    """Is all that it runs."""
    one = baseline()
    del one["spec"]["template"]["spec"]["containers"][0]["args"]
    container = make_copy(one, [], replace(WANTED, command="users"))["spec"]["template"]["spec"]["containers"][0]
    assert (container["command"], "args" in container) == (["users"], False)
