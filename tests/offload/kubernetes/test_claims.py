"""Keys by which controllers claim objects, and those that a configuration adds."""

import pytest

from detour.offload.kubernetes.claims import Claims


def test_a_configuration_adds_keys_and_domains() -> None:
    """A key that ends in a slash stands for its domain and the domain's subdomains."""
    labels = dict.fromkeys(
        [
            "a.test/owner",
            "a.test/other",
            "b.test/x",
            "sub.b.test/y",
            "notb.test/z",
            "mine",
            "app",
            "keel.sh/policy",
        ],
        "1",
    )
    claims = Claims(("a.test/owner", "b.test/", "mine"))
    assert list(claims.without(labels)) == ["a.test/other", "notb.test/z", "app"]
    assert "mine" in Claims().without(labels)
    assert claims.without(None) == {}


@pytest.mark.parametrize("key", ["", "/", "/x", "a b", "a/b/c", "-a", "a-/b", "A.test/x", "é"])
def test_what_is_not_a_key_is_refused(key: str) -> None:
    """A mistake would have no effect, and nothing would say so."""
    with pytest.raises(ValueError, match="is not a key of labels: expected KEY, DOMAIN/KEY or DOMAIN/"):
        Claims((key,))


DOMAINS = [
    "app.terraform.io",
    "applyset.kubernetes.io",
    "argocd.argoproj.io",
    "cattle.io",
    "cli-utils.sigs.k8s.io",
    "config.kubernetes.io",
    "configmanagement.gke.io",
    "configsync.gke.io",
    "crossplane.io",
    "deployment.kubernetes.io",
    "flux.weave.works",
    "fluxcd.io",
    "helm.sh",
    "hnc.x-k8s.io",
    "k14s.io",
    "keel.sh",
    "lifecycle.config.k8s.io",
    "operators.coreos.com",
    "pulumi.com",
    "rollout.argoproj.io",
    "skaffold.dev",
    "spinnaker.io",
    "tanka.dev",
    "werf.io",
]

KEYS = [
    "addonmanager.kubernetes.io/mode",
    "app.kubernetes.io/managed-by",
    "config.k8s.io/owning-inventory",
    "kubectl.kubernetes.io/last-applied-configuration",
    "kubectl.kubernetes.io/restartedAt",
    "kubernetes.io/cluster-service",
    "olm.managed",
    "olm.owner",
    "olm.owner.kind",
    "olm.owner.namespace",
    "pod-template-hash",
    "rollouts-pod-template-hash",
]


@pytest.mark.parametrize("domain", DOMAINS)
def test_domains_of_controllers(domain: str) -> None:
    """All their keys and those of their subdomains, and no others."""
    others = [f"not{domain}/a", domain, f"{domain}.test/a"]
    labels = dict.fromkeys([f"{domain}/a", f"sub.{domain}/b", *others], "1")
    assert list(Claims().without(labels)) == others


@pytest.mark.parametrize("key", KEYS)
def test_keys_of_controllers(key: str) -> None:
    """Only these; keys beside them stay."""
    assert Claims().without({key: "1", f"{key}s": "2", f"x{key}": "3"}) == {f"{key}s": "2", f"x{key}": "3"}
