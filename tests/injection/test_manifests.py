"""Golden files: manifests with sidecars, to be read by people.

`UPDATE_GOLDEN=1 pytest tests/injection/test_manifests.py` writes them anew; read the difference before committing.
A sidecar's bootstrap, which tests/envoy is about, stands there as BOOTSTRAP; what is the pod's own in it stands at
the end: who the sidecar says that it is, where and how it reaches the control plane, and where it listens.
"""

import copy
import json
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from detour.injection import InjectionSettings, Mode
from detour.injection.documents import documents, parse
from detour.injection.manifests import inject_manifests

GOLDEN = Path(__file__).with_name("golden")
MANIFESTS = (GOLDEN / "shop.in.yaml").read_text()

CASES = {
    "auto": InjectionSettings(),
    "explicit": InjectionSettings(Mode.EXPLICIT),
    "before-1.29": InjectionSettings(Mode.EXPLICIT, native=False),
    "transparent-before-1.29": InjectionSettings(Mode.TRANSPARENT, native=False),
    "plain-text": InjectionSettings(Mode.EXPLICIT, tls=False, control_plane="10.0.0.1:15010"),
}


@pytest.mark.parametrize("case", CASES)
def test_manifests_are_as_written_down(case: str) -> None:
    """The manifests, and the messages for their owner."""
    done = inject_manifests(MANIFESTS, CASES[case])
    text = re.sub(r"'\{\"node\":.*", "BOOTSTRAP", done.text) + "".join(f"# {note}\n" for note in done.notes)
    text += "".join(f"---\n{yaml.safe_dump(own_parts(one), sort_keys=False)}" for one in bootstraps(done.text))
    golden = GOLDEN / f"{case}.out.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def bootstraps(text: str) -> Iterator[dict]:
    """Yield the bootstraps of sidecars in manifests."""

    def containers(value: object) -> Iterator[dict]:
        if isinstance(value, dict):
            if value.get("name") == "detour-sidecar" and "args" in value:
                yield value
            value = list(value.values())
        if isinstance(value, list):
            for one in value:
                yield from containers(one)

    for document in yaml.safe_load_all(text):
        for container in containers(document):
            yield json.loads(container["args"][1])


def own_parts(bootstrap: dict) -> dict:
    """Return what differs from one pod, or cluster, to another."""
    static = bootstrap["static_resources"]
    (control_plane,) = [one for one in static["clusters"] if one["name"] == "@control-plane"]
    (endpoint,) = control_plane["load_assignment"]["endpoints"][0]["lb_endpoints"]
    tls = control_plane.get("transport_socket", {}).get("typed_config", {})
    return {
        "node": bootstrap["node"],
        "control_plane": endpoint["endpoint"]["address"]["socket_address"],
        "server_name": tls.get("sni"),
        "listeners": {
            one["name"]: one["address"]["socket_address"] for one in static["listeners"] if "address" in one
        },
    }


@pytest.mark.parametrize("case", CASES)
def test_injecting_twice_is_injecting_once(case: str) -> None:
    """To the letter; so is injecting in another mode what has a sidecar."""
    once = inject_manifests(MANIFESTS, CASES[case]).text
    assert inject_manifests(once, CASES[case]).text == once
    if CASES[case].native:
        assert inject_manifests(once, InjectionSettings(Mode.TRANSPARENT)).text == once


def test_what_gets_no_sidecar_stays_to_the_letter() -> None:
    """With its comments and its order."""
    done = inject_manifests(MANIFESTS, InjectionSettings()).text
    first, *_, last_but_one, last = MANIFESTS.split("---\n")
    assert done.startswith(first)
    assert done.endswith(f"---\n{last_but_one}---\n{last}")


def test_values_keep_the_meaning_that_kubernetes_gives_them() -> None:
    """Dates, times and pairs of numbers are text; 0640 is octal, and `yes` is true."""
    deployment = list(yaml.load_all(inject_manifests(MANIFESTS, InjectionSettings()).text, yaml.BaseLoader))[1]
    template = deployment["spec"]["template"]
    assert template["metadata"]["annotations"]["released"] == "2024-01-31"
    assert template["metadata"]["annotations"]["window"] == "12:30:45"
    users = template["spec"]["containers"][0]
    assert users["args"] == ["--listen", "0.0.0.0:8080", "8080:22"]
    assert users["command"][2] == "echo one\nexec users\n"
    assert users["volumeMounts"][0]["readOnly"] == "true"
    assert template["spec"]["volumes"][0]["secret"]["defaultMode"] == str(0o640)


@pytest.mark.parametrize(
    "text", ["y", "No", "on", "1e3", "4e12345", "08", "0o17", "1_000", "12:30", "2024-01-31", "~"]
)
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    """It is in quotes afterwards as it was before: Kubernetes takes `y` for true and `4e1` for a number."""
    pod = f'kind: Pod\nspec: {{containers: [{{name: a, env: [{{name: b, value: "{text}"}}]}}]}}\n'
    assert f"value: '{text}'\n" in inject_manifests(pod, InjectionSettings()).text


def test_words_that_are_no_text_stay_none() -> None:
    """Without quotes they mean to Kubernetes what they meant before."""
    pod = "kind: Pod\nspec: {containers: [{name: a}], words: [y, Off, 1e3, 08, 0o17, 0x1F, .5]}\n"
    injected = yaml.safe_load(inject_manifests(pod, InjectionSettings()).text)
    assert injected["spec"]["words"] == [True, False, 1000, 8, 15, 31, 0.5]


def test_a_job_without_native_sidecars_is_left_alone() -> None:
    """It would never end; the note says what it would take."""
    notes = inject_manifests(MANIFESTS, InjectionSettings(native=False)).notes
    assert [note for note in notes if note.startswith("CronJob nightly is left alone")]


@pytest.mark.parametrize(
    "text", ["", "---\n", "# nothing\n", "a: b", "- 1\n", "kind: Pod\n", "kind: Pod\nspec: 1\n"]
)
def test_what_describes_no_pods_passes_unchanged(text: str) -> None:
    """Whatever else it is."""
    assert inject_manifests(text, InjectionSettings()).text == text


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "{{ .Values.name }}: b", "\x00", "a: *b"])
def test_what_is_no_yaml_is_refused_in_one_line(text: str) -> None:
    """With the place, where it may have pods; other documents pass unread."""
    with pytest.raises(ValueError, match="this is not YAML") as error:
        inject_manifests(f"{text}\n# containers", InjectionSettings())
    assert inject_manifests(text, InjectionSettings()).text == text
    assert "\n" not in str(error.value)


def test_json_is_yaml() -> None:
    """As `kubectl get -o json` prints it."""
    text = '{"kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "image": "b"}]}}'
    injected = yaml.safe_load(inject_manifests(text, InjectionSettings()).text)
    assert [one["name"] for one in injected["spec"]["initContainers"]] == ["detour-redirect", "detour-sidecar"]


@pytest.mark.parametrize("level", ["baseline", "restricted"])
def test_a_namespace_among_the_manifests_says_what_its_pods_may_have(level: str) -> None:
    """Its level of Pod Security; the notes say what became of each pod."""
    labels = {"pod-security.kubernetes.io/enforce": level}
    strict = {"kind": "Namespace", "metadata": {"name": "strict", "labels": labels}}
    pods = [
        {"kind": "Pod", "metadata": {"name": name, "namespace": name}, "spec": {"containers": [{"name": "a"}]}}
        for name in ("strict", "open")
    ]
    done = inject_manifests(yaml.safe_dump_all([*pods, strict]), InjectionSettings())
    modes = [len(one["spec"]["initContainers"]) for one in yaml.safe_load_all(done.text) if one["kind"] == "Pod"]
    assert modes == [1, 2]
    explicit, transparent = done.notes
    assert explicit.startswith(
        f"Pod strict: explicit mode, because namespace strict enforces the Pod Security level {level}"
    )
    assert transparent.startswith("pods get transparent mode")


VALUES = [None, 7, True, 1.5, "x", [], {}, [None], [7], [[]], [{}], {"name": {}}, [{"name": [1]}], {1: 2}]
"""What may stand where something else is expected."""


def mutated(value: object, chance: random.Random) -> object:
    """Return a document in which one value, at any depth, is another one."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not keys or chance.random() < 0.15:
        return chance.choice(VALUES)
    key = chance.choice(keys)
    made = copy.copy(value)
    made[key] = mutated(value[key], chance)
    return made


def test_whatever_has_another_form_is_refused_in_one_line_or_passes() -> None:
    """Nothing else is raised, wherever it stands; what Kubernetes does not take it says itself."""
    chance = random.Random(14)
    given = [parse(one) for one in documents(MANIFESTS)]
    labels = {"pod-security.kubernetes.io/enforce": "baseline"}
    given.append({"kind": "Namespace", "metadata": {"name": "a", "labels": labels}})
    refused = []
    for _ in range(150):
        text = yaml.dump(mutated(chance.choice(given), chance))
        try:
            inject_manifests(text, chance.choice(list(CASES.values())))
        except ValueError as error:
            refused.append(str(error))
    form = re.compile(r"Kubernetes would not accept [^\n]+: \S+ is [^\n]+")
    assert [line for line in refused if not form.fullmatch(line)] == []
    assert len(refused) > 5


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("kind: Namespace\nmetadata: 7", "Kubernetes would not accept Namespace: metadata is a number"),
        ("kind: Pod\nmetadata: []\nspec: {containers: []}", "Kubernetes would not accept Pod: metadata is a list"),
        (
            "kind: Job\nmetadata: {name: a}\nspec: {template: {spec: {containers: [null]}}}",
            "Kubernetes would not accept Job a: spec.template.spec.containers[0] is nothing",
        ),
        ("containers: 0x_", "this is not YAML: a value is not what it looks like"),
        ("containers: !!bool x", "this is not YAML: a value is not what it looks like"),
        ("- " * 3000 + "containers", "this is nested too deeply to be a manifest"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(text: str, line: str) -> None:
    """And what is expected there."""
    with pytest.raises(ValueError, match=re.escape(line)):
        inject_manifests(text, InjectionSettings())


PATHS = {
    "Pod": [],
    "DaemonSet": ["spec", "template"],
    "Deployment": ["spec", "template"],
    "Job": ["spec", "template"],
    "ReplicaSet": ["spec", "template"],
    "StatefulSet": ["spec", "template"],
    "ReplicationController": ["spec", "template"],
    "CronJob": ["spec", "jobTemplate", "spec", "template"],
    "PodTemplate": ["template"],
}
"""Where each kind has its pod."""


def of_kind(kind: str, name: str = "a", **metadata: str) -> tuple[dict, dict]:
    """Return an object of a kind, and the pod in it."""
    pod: dict = {"spec": {"containers": [{"name": "app"}]}}
    inner = pod
    for key in reversed(PATHS[kind]):
        inner = {key: inner, "kept": 1}
    return {"apiVersion": "x/v1", "kind": kind, "metadata": {"name": name, **metadata}, **inner}, pod


@pytest.mark.parametrize("kind", PATHS)
def test_each_kind_with_pods(kind: str) -> None:
    """The sidecar is in its pod, named after the object; the rest stays, and the template gets no name."""
    given, _ = of_kind(kind, "users")
    done = yaml.safe_load(inject_manifests(yaml.safe_dump(given), InjectionSettings(Mode.EXPLICIT, tls=False)).text)
    pod = done
    for key in PATHS[kind]:
        assert kind == "Pod" or pod.get("kept", 1) == 1
        pod = pod[key]
    (sidecar,) = pod["spec"]["initContainers"]
    assert json.loads(sidecar["args"][1])["node"]["cluster"] == "users"
    assert pod.get("metadata", {}).get("name") == ("users" if kind == "Pod" else None)
    assert (done["apiVersion"], done["kind"], done["metadata"]) == ("x/v1", kind, {"name": "users"})


def test_lists_of_objects() -> None:
    """Also lists in lists; what else they have stays."""
    pods = [of_kind("Pod", name)[0] for name in "ab"]
    config = {"kind": "ConfigMap", "metadata": {"name": "c"}, "spec": {"containers": []}}
    inner = {"kind": "PodList", "items": [pods[1]], "metadata": {"resourceVersion": "7"}}
    given = {"apiVersion": "v1", "kind": "List", "items": [pods[0], config, inner, None, 7]}
    done = yaml.safe_load(inject_manifests(yaml.safe_dump(given), InjectionSettings(Mode.EXPLICIT)).text)
    first, second, third, *others = done["items"]
    assert (done["apiVersion"], done["kind"], others, second) == ("v1", "List", [None, 7], config)
    assert third["metadata"] == {"resourceVersion": "7"}
    for pod in (first, third["items"][0]):
        assert [one["name"] for one in pod["spec"]["initContainers"]] == ["detour-sidecar"]
    for odd in ({"kind": "List", "items": 7}, {"kind": "List"}, {"kind": "Listing", "items": pods}):
        text = yaml.safe_dump(odd)
        assert inject_manifests(text, InjectionSettings()).text == text


NEEDS_RIGHTS = (
    "pods get transparent mode, whose init container needs NET_ADMIN and NET_RAW: where the cluster refuses such"
    " pods (Pod Security baseline or restricted), use --mode explicit"
)


def notes(*objects: dict, settings: InjectionSettings | None = None) -> tuple[str, ...]:
    """Return the messages about manifests."""
    return inject_manifests(yaml.safe_dump_all(objects), settings or InjectionSettings()).notes


def namespace(name: str, level: str | None) -> dict:
    """Return a namespace with a level of Pod Security."""
    labels = {"pod-security.kubernetes.io/enforce": level} if level else None
    return {"kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def test_notes_in_full() -> None:
    """Once each; those about one object name it."""
    one, two, three = (of_kind("Pod", name)[0] for name in "abc")
    two["metadata"]["labels"] = {"detour.dev/inject": "false"}
    three["metadata"]["annotations"] = {"detour.dev/mode": "magic"}
    four, _ = of_kind("Deployment")
    four["metadata"] = {"generateName": "users-"}
    four["spec"]["template"]["spec"]["hostNetwork"] = True
    shared = "its node's network (hostNetwork), where all pods of the node share a sidecar's ports"
    assert notes(one, two, three, four, of_kind("Job", "z")[0]) == (
        NEEDS_RIGHTS,
        "Pod b is left alone: it is labelled detour.dev/inject=false",
        "Pod c: detour.dev/mode is 'magic', not one of explicit, transparent, auto: auto it is",
        f"Deployment users- is left alone: it uses {shared}",
    )
    assert notes(one, settings=InjectionSettings(Mode.EXPLICIT)) == ()
    assert notes(one, settings=InjectionSettings(Mode.TRANSPARENT)) == ()


@pytest.mark.parametrize(
    ("level", "is_strict"),
    [("baseline", True), ("restricted", True), ("privileged", False), ("Baseline", False), (None, False)],
)
def test_namespaces_by_name_and_level(level: str | None, is_strict: bool) -> None:
    """A pod that names no namespace is in `default`; of others the settings say what they refuse."""
    spaces = [namespace("default", level), namespace("other", "privileged"), {"kind": "Namespace"}]
    pod, _ = of_kind("Pod", "a")
    ignored = "Clients that ignore http_proxy reach the baseline, whatever their overrides say (docs/kubernetes.md)"
    because = f"Pod a: explicit mode, because namespace default enforces the Pod Security level {level}. {ignored}"
    assert notes(pod, *spaces) == ((because,) if is_strict else (NEEDS_RIGHTS,))
    there, _ = of_kind("Pod", "a", namespace="third")
    assert notes(there, *spaces) == (NEEDS_RIGHTS,)
    refused = f"Pod a: explicit mode, because no. {ignored}"
    assert notes(there, *spaces, settings=InjectionSettings(refusal="no")) == (refused,)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "kind: Job\nmetadata: {generateName: b}\nspec: {template: {metadata: {labels: 7}, spec: {containers}}}",
            "Kubernetes would not accept Job b: spec.template.metadata.labels is a number, expected a mapping",
        ),
        (
            "kind: Pod\nmetadata: {name: [a]}\nspec: {containers: []}",
            "Kubernetes would not accept Pod: metadata.name is a list, expected text",
        ),
        (
            "kind: CronJob\nspec: {jobTemplate: {spec: {template: {spec: {containers: [], os: x}}}}}",
            (
                "Kubernetes would not accept CronJob: spec.jobTemplate.spec.template.spec.os is text"
                ", expected a mapping"
            ),
        ),
        (
            "kind: Namespace\nmetadata: {name: a, labels: 7}",
            "Kubernetes would not accept Namespace a: metadata.labels is a number, expected a mapping",
        ),
        ("- " * 3000 + "containers", "this is nested too deeply to be a manifest"),
        ("containers: !!bool x", "this is not YAML: a value is not what it looks like ('x')"),
    ],
)
def test_refusals_in_full(text: str, line: str) -> None:
    """With the object, the place, and what is expected there."""
    with pytest.raises(ValueError) as raised:
        inject_manifests(text, InjectionSettings())
    assert str(raised.value) == line


def test_how_documents_are_written() -> None:
    """Keys in their order, long texts on one line, letters as they are; a mark of the start where one was."""
    long = "é" + " word" * 500
    metadata = f"metadata:\n  annotations:\n    b: {long}\n  name: a\n"
    text = f"kind: Pod\n{metadata}spec:\n  containers:\n  - name: a\n"
    settings = InjectionSettings(Mode.EXPLICIT, tls=False)
    alone = inject_manifests(text, settings).text
    assert alone.startswith(f"kind: Pod\n{metadata}spec:\n  containers:\n  - name: a\n    env:\n")
    two = inject_manifests(f"# first\n---\n{text}---\n{text}", settings).text
    assert two == f"---\n{alone}---\n{alone}"
    plain = "kind: Namespace\n"
    assert inject_manifests(f"{plain}---\n{text}", settings).text == f"{plain}---\n{alone}"


def test_the_metadata_of_a_template() -> None:
    """Keys keep their order, and a name of its own stays."""
    given, pod = of_kind("Deployment", "users")
    pod["metadata"] = {"labels": {"detour.dev/service": "rides"}, "name": "own", "creationTimestamp": None}
    text = inject_manifests(yaml.safe_dump(given, sort_keys=False), InjectionSettings(Mode.EXPLICIT)).text
    template = yaml.safe_load(text)["spec"]["template"]
    assert list(template["metadata"]) == ["labels", "name", "creationTimestamp", "annotations"]
    assert template["metadata"]["name"] == "own"
    (sidecar,) = template["spec"]["initContainers"]
    assert json.loads(sidecar["args"][1])["node"]["cluster"] == "rides"


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("y", True),
        ("N", False),
        ("Yes", True),
        ("off", False),
        ("0b11", 3),
        ("-017", -15),
        ("+1_000", 1000),
        ("0xff", 255),
        ("1.5", 1.5),
        ("-.5e1", -5.0),
        ("1e3", 1000.0),
        ("12:30", "12:30"),
        ("2024-01-31", "2024-01-31"),
        ("=", "="),
        ("~", None),
        ("1.2.3", "1.2.3"),
        ("e3", "e3"),
        ("yess", "yess"),
        ("0b2", "0b2"),
        ("a", "a"),
    ],
)
def test_words_without_quotes(word: str, value: object) -> None:
    """What Kubernetes takes them for; a text stays one when it is written again."""
    (read,) = parse(f"[{word}]")
    assert (type(read), read) == (type(value), value)
    pod = f"kind: Pod\nspec: {{containers: [{{name: a}}], word: {word}}}\n"
    again = parse(inject_manifests(pod, InjectionSettings()).text)["spec"]["word"]
    assert (type(again), again) == (type(value), value)
