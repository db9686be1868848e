"""Required anti-affinity, which must not leave a copy without a node. Pure.

Invariant: anti-affinity keeps a copy from no node. Its own becomes a preference, and its labels avoid that of other
pods: the scheduler also refuses a node if a pod there has anti-affinity to the new one.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from detour.kubernetes.objects import Json
from detour.offload.kubernetes.selectors import Selection, Selector

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
_WEIGHT_MAX: Final = 100


def prefer(template: Json) -> None:
    """Turn the required anti-affinity of pods into a preference; this changes the template."""
    rules = _anti_affinity(template)
    if rules.get(_REQUIRED):
        preferred = [{"weight": _WEIGHT_MAX, "podAffinityTerm": term} for term in rules.pop(_REQUIRED)]
        rules[_PREFERRED] = [*(rules.get(_PREFERRED) or ()), *preferred]


def required_by(kind: str, workloads: Iterable[Json]) -> list[Selection]:
    """Return which pods the pods of workloads do not share a node with; a term without a selector means none."""
    return [
        Selection(
            f"anti-affinity of {kind}", one["metadata"]["name"], msgspec.convert(term["labelSelector"], Selector)
        )
        for one in workloads
        for term in _anti_affinity(one["spec"].get("template") or {}).get(_REQUIRED) or ()
        if term.get("labelSelector") is not None
    ]


def _anti_affinity(template: Json) -> Json:
    affinity = (template.get("spec") or {}).get("affinity") or {}
    found: Json = affinity.get("podAntiAffinity") or {}
    return found
