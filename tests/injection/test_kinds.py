"""Objects of all kinds: which get sidecars, the reports about those that do not, and documents that pass unread."""

import pytest
import yaml

from detour.injection import InjectionSettings, Mode
from detour.injection.documents import documents, may_matter
from detour.injection.manifests import Manifests, inject_manifests

LOOSE = (
    "is not part of a pod template; if its controller creates pods,"
    " the webhook can inject them (label the namespace)"
)
KNATIVE = (
    "Service users: Knative accepts its sidecar only with the features kubernetes.podspec-init-containers and"
    " kubernetes.podspec-fieldref (ConfigMap config-features)"
)

TEMPLATE = {"metadata": {"labels": {"app": "users"}}, "spec": {"containers": [{"name": "users", "image": "users"}]}}


def injected(*objects: dict) -> Manifests:
    """Add sidecars to objects."""
    return inject_manifests(yaml.safe_dump_all(objects), InjectionSettings(Mode.EXPLICIT))


def sidecars(text: str) -> int:
    """Count the sidecars."""
    return text.count("name: detour-sidecar\n")


def nested(part: object, *path: str | int) -> object:
    """Put a part into mappings and lists."""
    for key in reversed(path):
        part = [part] if isinstance(key, int) else {key: part}
    return part


@pytest.mark.parametrize(
    ("api", "kind", "path"),
    [
        ("apps/v1", "Deployment", ("template",)),
        ("apps/v1", "DaemonSet", ("template",)),
        ("apps/v1", "StatefulSet", ("template",)),
        ("apps/v1", "ReplicaSet", ("template",)),
        ("v1", "ReplicationController", ("template",)),
        ("batch/v1", "Job", ("template",)),
        ("batch/v1", "CronJob", ("jobTemplate", "spec", "template")),
        ("argoproj.io/v1alpha1", "Rollout", ("template",)),
        ("serving.knative.dev/v1", "Service", ("template",)),
        ("example.test/v1", "Shop", ("template",)),
        ("jobset.x-k8s.io/v1alpha2", "JobSet", ("replicatedJobs", 0, "template", "spec", "template")),
        ("kubeflow.org/v1", "PyTorchJob", ("pytorchReplicaSpecs", "Worker", "template")),
        ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", ("leaderWorkerTemplate", "workerTemplate")),
    ],
)
def test_everything_with_a_pod_template_gets_a_sidecar(api: str, kind: str, path: tuple[str | int, ...]) -> None:
    """Whatever its kind, also within a List; what is around the template stays."""
    one = {"apiVersion": api, "kind": kind, "metadata": {"name": "users"}, "spec": nested(TEMPLATE, *path)}
    done = injected(one)
    assert sidecars(done.text) == 1
    made = yaml.safe_load(done.text)
    assert sidecars(injected({"apiVersion": "v1", "kind": "List", "items": [one, one]}).text) == 2
    (again,) = injected(made).notes
    assert again == f"{kind} users is left alone: it has a sidecar already"
    assert [note for note in done.notes if "Knative" in note] == ([KNATIVE] if "knative" in api else [])


@pytest.mark.parametrize(
    ("one", "note"),
    [
        (
            {"kind": "Rollout", "spec": {"workloadRef": {"kind": "Deployment", "name": "users"}}},
            "Rollout users is left alone: its pods are those of Deployment users",
        ),
        (
            {"kind": "Prometheus", "spec": TEMPLATE["spec"]},
            f"Prometheus users is left alone: spec.containers {LOOSE}",
        ),
        (
            {"kind": "Workflow", "spec": {"templates": [{"container": {"image": "a"}}]}},
            f"Workflow users is left alone: spec.templates[0].container {LOOSE}",
        ),
        ({"kind": "ConfigMap", "data": {"pod": "containers: []"}}, ""),
        ({"kind": "CustomResourceDefinition", "spec": {"template": TEMPLATE}}, ""),
        ({"kind": "Policy", "spec": {"template": {"spec": {"containers": [{"name": 7}]}}}}, ""),
    ],
)
def test_what_is_left_alone_is_reported(one: dict, note: str) -> None:
    """If it has containers, with the reason and their place; nothing changes."""
    text = yaml.safe_dump({"metadata": {"name": "users"}, **one})
    done = inject_manifests(text, InjectionSettings())
    assert (done.text, list(done.notes)) == (text, [note] if note else [])


def test_services_and_limit_ranges_among_the_manifests_count() -> None:
    """They name the sidecars of their namespace, and bound their resources."""
    service = {"kind": "Service", "metadata": {"name": "api"}, "spec": {"selector": {"app": "users"}}}
    bounds = {"limits": [{"type": "Container", "max": {"cpu": "100m"}}]}
    limits = {"kind": "LimitRange", "metadata": {"name": "limits"}, "spec": bounds}
    pods = [
        {"kind": "Deployment", "metadata": {"name": "web", "namespace": place}, "spec": {"template": TEMPLATE}}
        for place in ("default", "elsewhere")
    ]
    here, elsewhere = list(yaml.safe_load_all(injected(*pods, service, limits).text))[:2]
    for one, name, limit in ((here, "api", "100m"), (elsewhere, "web", "500m")):
        (sidecar,) = one["spec"]["template"]["spec"]["initContainers"]
        assert f'"cluster":"{name}"' in sidecar["args"][1]
        assert sidecar["resources"]["limits"]["cpu"] == limit


CRD = """\
# generated
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: shops.example.test}
spec: {versions: [{schema: {openAPIV3Schema: {properties: {containers: {type: array}}}}}]}
"""


def test_documents_that_cannot_have_pods_are_not_parsed() -> None:
    """Which is what makes megabytes of CustomResourceDefinitions pass at once."""
    unread = [CRD, "kind: ConfigMap\ndata: {a: b}\n", "kind: ServiceAccount\n", "kind: Role\n"]
    read = [
        "kind: Service\n",
        '{"kind": "Namespace"}',
        "kind: LimitRange\n",
        "kind: Shop\nspec: {containers: []}\n",
    ]
    assert [may_matter(one) for one in (*unread, *read)] == [False] * 4 + [True] * 4


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("a: b\n", 1),
        ("# first\n---\na: b\n---\nc: d\n", 2),
        ("a: b\n---\r\nc: d\n--- # last\ne: f\n---", 4),
        ("a: |\n  ---\n  b\nc: ----\n", 1),
        ("%YAML 1.1\n---\na: b\n...\n%YAML 1.1\n---\nc: d\n", 2),
        ("\ufeff---\na: b\n", 1),
    ],
)
def test_a_stream_is_split_where_its_documents_begin(text: str, count: int) -> None:
    """As YAML defines it; nothing is lost."""
    parts = list(documents(text))
    assert ("".join(parts), len(parts)) == (text, count)
    for part in parts:
        list(yaml.safe_load_all(part))
