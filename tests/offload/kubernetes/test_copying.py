"""From a live Deployment to its copy."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detour.offload.kubernetes.copying import Wanted, find_baseline, make_copy, object_name
from detour.offload.kubernetes.errors import CannotCopyError

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
    """It is found by its labels, says whose it is, and nobody who manages the baseline takes it for theirs."""
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
        {"name": "DB", "valueFrom": {"secretKeyRef": {}}},
        {"name": "COLOUR", "value": "blue"},
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
    with pytest.raises(CannotCopyError, match="there is no container nosuch; there is app"):
        copied(container="nosuch")


@pytest.mark.parametrize("name", ["PR-42", "pr_42", "pr.42", "-pr", "pr-", "", "x" * 64])
def test_what_is_no_dns_label_is_no_name(name: str) -> None:
    """Names of pods are made of it."""
    with pytest.raises(
        CannotCopyError, match="cannot name a deployment in Kubernetes: expected at most 63 lower-case"
    ):
        object_name("users", name)


def test_a_command_that_cannot_be_split_is_told() -> None:
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
        CannotCopyError, match=r"several Deployments .* \(users-canary, users-next\), and none is called users"
    ):
        find_baseline(USERS, [canary, second])


@pytest.mark.parametrize(
    ("service", "told"),
    [
        ({"metadata": {"name": "users"}, "spec": {}}, "Service users has no selector, so there is no Deployment"),
        ({"metadata": {"name": "db"}, "spec": {"selector": {"app": "db"}}}, "no Deployment is behind Service db"),
    ],
)
def test_where_there_is_nothing_to_copy_another_way_is_named(service: dict[str, Any], told: str) -> None:
    """Endpoints can be registered for any service."""
    with pytest.raises(CannotCopyError, match=rf"{told}.*detour offload add"):
        find_baseline(service, [baseline()])
