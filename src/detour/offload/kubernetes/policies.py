"""The NetworkPolicies of a copy: what restricts the baseline restricts the copy as well. Pure.

Invariant: each policy that selects the baseline's pods either selects the copy's, or has a twin that does. The
copy's Deployment owns the twin.
"""

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

import msgspec

from detour.kubernetes.kinds import NETWORK_POLICIES
from detour.kubernetes.objects import Json
from detour.offload.kubernetes.labelling import shortened
from detour.offload.kubernetes.selectors import Labels, Selector

_SIDES: Final = (("ingress", "from"), ("egress", "to"))


def twins_of(policies: Iterable[Json], before: Labels, after: Labels, marks: Labels, owner: str) -> list[Json]:
    """Return the policies that a copy needs, without owner references.

    Args:
        policies: The policies of its namespace.
        before: The labels of the baseline's pods.
        after: The labels of the copy's pods.
        marks: The labels that only the copy's pods have.
        owner: The name of the copy's Deployment.
    """
    return [
        NETWORK_POLICIES.object(
            {
                "name": shortened(f"{owner}--{one['metadata']['name']}"),
                "namespace": one["metadata"].get("namespace", ""),
                "labels": dict(marks),
            },
            spec={**deepcopy(one["spec"]), "podSelector": {"matchLabels": dict(marks)}},
        )
        for one in policies
        if _selects(one["spec"].get("podSelector"), before) and not _selects(one["spec"].get("podSelector"), after)
    ]


def owned(policy: Json, owner: str, uid: str) -> Json:
    """Return a policy that is deleted with a Deployment."""
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": owner, "uid": uid}
    return {**policy, "metadata": {**policy["metadata"], "ownerReferences": [reference]}}


def notes_on(policies: Iterable[Json], before: Labels, after: Labels, marks: Labels) -> Iterator[str]:
    """Yield a note for each policy of other pods that admits the baseline, and not the copy."""
    for one in policies:
        sides = [side for side, peers in _SIDES if _misses(one["spec"].get(side), peers, before, after)]
        if sides:
            name, labels = one["metadata"]["name"], ", ".join(f"{key}: {value}" for key, value in marks.items())
            admits = f"NetworkPolicy {name} admits the baseline and not the copy ({', '.join(sides)})"
            yield f"{admits}: add a peer with the podSelector {{{labels}}}"


def _misses(rules: Any, peers: str, before: Labels, after: Labels) -> bool:
    """Return whether rules have a peer that is the baseline, and none that is the copy."""
    selectors = [peer.get("podSelector") for rule in rules or () for peer in rule.get(peers) or ()]
    named = [one for one in selectors if one is not None]
    return any(_selects(one, before) for one in named) and not any(_selects(one, after) for one in named)


def _selects(selector: Mapping[str, Any] | None, labels: Labels) -> bool:
    """Return whether a policy's selector matches; one that is missing matches everything, like an empty one."""
    return msgspec.convert(selector or {}, Selector).matches(labels)
