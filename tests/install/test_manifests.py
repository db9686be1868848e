"""What `detour install` puts into a cluster: the chart's objects, with the chosen values."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.running import detour, refusal
from detour import __version__
from detour.install import Choices, manifests

ROOT = Path(__file__).parents[2]
CHOICES = Choices(["shop", "pay"], "tools", "reg.test:5000/detour:7", replicas=3)


def named(objects: list[dict[str, Any]], kind: str, name: str) -> list[dict[str, Any]]:
    """Return the objects of a kind and name."""
    return [one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name)]


def test_what_was_chosen_is_everywhere() -> None:
    """And nothing that stood for it is left."""
    objects = manifests(CHOICES)
    assert objects[0]["kind"] == "Namespace"
    assert not re.search(r"\w+-xx", yaml.safe_dump_all(objects))
    (server,) = named(objects, "Deployment", "detour")
    assert (server["metadata"]["namespace"], server["spec"]["replicas"]) == ("tools", 3)
    (container,) = server["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "reg.test:5000/detour:7"
    users = server["spec"]["template"]["spec"]["securityContext"]
    assert (users["runAsUser"], users["runAsGroup"], users["runAsNonRoot"]) == (65532, 65532, True)
    assert container["args"][:4] == ["serve", "--kubernetes", "--namespace=shop", "--namespace=pay"]
    assert "--control-plane=detour.tools.svc:15010" in container["args"]
    roles = named(objects, "Role", "detour-mesh")
    assert [one["metadata"]["namespace"] for one in roles] == ["shop", "pay"]
    (policy,) = named(objects, "NetworkPolicy", "detour")
    (expression,) = policy["spec"]["ingress"][1]["from"][0]["namespaceSelector"]["matchExpressions"]
    assert expression["values"] == ["shop", "pay", "tools"]


def test_a_single_server_has_no_budget() -> None:
    """It would keep its node from being drained."""
    kinds = [one["kind"] for one in manifests(Choices(["shop"], "detour", "x:1", replicas=1))]
    assert "PodDisruptionBudget" not in kinds
    assert "PodDisruptionBudget" in [one["kind"] for one in manifests(CHOICES)]


def test_what_the_servers_write_is_not_written_for_them() -> None:
    """Installing again would take the Lease from its leader, and the webhook's authority from the API server."""
    (lease,) = named(manifests(CHOICES), "Lease", "detour-server")
    assert "spec" not in lease
    (configuration,) = named(manifests(CHOICES), "MutatingWebhookConfiguration", "detour")
    assert all("caBundle" not in one["clientConfig"] for one in configuration["webhooks"])


def test_rights_are_as_small_as_they_can_be() -> None:
    """No wildcard; Secrets by name, but for making them; the cluster's own objects only by name."""
    for role in (one for one in manifests(CHOICES) if one["kind"] in {"Role", "ClusterRole"}):
        for rule in role["rules"]:
            words = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert "*" not in words
            if "secrets" in rule["resources"] and rule["verbs"] != ["create"]:
                assert rule["resourceNames"]
            if role["kind"] == "ClusterRole":
                assert rule["resourceNames"] == ["detour"]


def test_dry_run_prints_them() -> None:
    """As YAML that says the same."""
    done = detour("install", "--namespace", "shop", "--namespace", "pay", "--dry-run")
    chosen = Choices(["shop", "pay"], "detour", f"detour:{__version__}")
    assert list(yaml.safe_load_all(done.stdout)) == manifests(chosen)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--namespace", "Shop"], "'Shop' is not a namespace name"),
        (["--namespace", "shop", "--server-namespace", "a.b"], "'a.b' is not a namespace name"),
        (["--namespace", "shop", "--replicas", "0"], "--replicas 0: expected at least 1"),
        (["--namespace", "shop", "--kubeconfig", "/nowhere"], "no Kubernetes cluster: "),
        ([], "Missing option '--namespace'"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], line: str) -> None:
    """Before anything is changed."""
    assert refusal(detour("install", *arguments)).startswith(line)


def test_the_charts_version_is_detours() -> None:
    """The image's tag comes from it."""
    chart = yaml.safe_load((ROOT / "deploy/helm/detour/Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__


def test_help_for_the_values_is_complete() -> None:
    """Every value is in the schema and in the chart's README."""
    chart = ROOT / "deploy/helm/detour"
    values = yaml.safe_load((chart / "values.yaml").read_text())
    schema = yaml.safe_load((chart / "values.schema.json").read_text())
    assert set(values) | {"global"} == set(schema["properties"])
    readme = (chart / "README.md").read_text()
    assert [name for name in values if f"`{name}" not in readme] == []
