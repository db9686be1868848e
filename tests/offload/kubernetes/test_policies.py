"""NetworkPolicies of a copy, and those of other pods that do not admit it."""

from typing import Any

from detour.offload.kubernetes.policies import notes_on, owned, twins_of

BEFORE = {"app": "users", "tier": "backend"}
MARKS = {"detour.dev/offloaded": "pr-42", "detour.dev/service": "users"}
AFTER = {"app": "users--pr-42", "tier": "backend", **MARKS}


def policy(name: str, selector: dict[str, Any] | None, **spec: Any) -> dict[str, Any]:
    """Return a policy for pods with these labels."""
    chosen = {} if selector is None else {"podSelector": {"matchLabels": selector}}
    return {"metadata": {"name": name, "namespace": "shop", "uid": "1"}, "spec": {**chosen, **spec}}


def test_a_policy_that_selects_only_the_baseline_has_a_twin() -> None:
    """With the same rules; one that selects both, or neither, has none."""
    rules = {"policyTypes": ["Egress"], "egress": [{"to": []}]}
    policies = [
        policy("a", {"app": "users"}, **rules),
        policy("b", {"tier": "backend"}),
        policy("c", {"app": "db"}),
    ]
    (twin,) = twins_of([*policies, policy("d", None)], BEFORE, AFTER, MARKS, "users--pr-42")
    assert twin == {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "users--pr-42--a", "namespace": "shop", "labels": MARKS},
        "spec": {**rules, "podSelector": {"matchLabels": MARKS}},
    }
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "users--pr-42", "uid": "7"}
    assert owned(twin, "users--pr-42", "7")["metadata"]["ownerReferences"] == [reference]
    assert "ownerReferences" not in twin["metadata"]


def test_policies_that_admit_only_the_baseline_are_named() -> None:
    """On both sides; a peer that is the copy too is enough."""
    users = {"podSelector": {"matchLabels": {"app": "users"}}}
    everything: dict[str, Any] = {"podSelector": {}}
    network = {"ipBlock": {"cidr": "10.0.0.0/8"}}
    policies = [
        policy("db", {"app": "db"}, ingress=[{"from": [users, network]}]),
        policy("web", {"app": "web"}, egress=[{"to": [users]}], ingress=[{}]),
        policy("open", {"app": "open"}, ingress=[{"from": [users]}, {"from": [everything]}]),
        policy("other", {"app": "other"}, ingress=[{"from": [network]}, {"from": None}], egress=None),
    ]
    add = "add a peer with the podSelector {detour.dev/offloaded: pr-42, detour.dev/service: users}"
    assert list(notes_on(policies, BEFORE, AFTER, MARKS)) == [
        f"NetworkPolicy db admits the baseline and not the copy (ingress): {add}",
        f"NetworkPolicy web admits the baseline and not the copy (egress): {add}",
    ]
