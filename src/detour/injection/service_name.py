"""The name of the service that a pod belongs to.

Invariant: pure. The same Services, in any order, result in the same name.

A pod of an offloaded deployment has the service in its label `detour.dev/service`; any pod may have that label.
Otherwise the name is that of the Service whose selector matches the pod's labels, and without one that of the
workload (a Deployment's pods belong to a ReplicaSet with the Deployment's name and a hash). Other labels, such as
`app`, say nothing about Services.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Json = dict[str, Any]

SERVICE_LABEL: Final = "detour.dev/service"
_HASH_LABEL: Final = "pod-template-hash"
_NAME_LABELS: Final = ("app.kubernetes.io/name", "app.kubernetes.io/instance", "app", "k8s-app", "name")
"""Labels that usually have the main Service's name: they decide between Services, and only then."""


@dataclass(frozen=True, slots=True)
class SelectingService:
    """A Service of the pod's namespace.

    Args:
        name: Its name.
        selector: The labels of its pods.
        is_headless: Whether it has no address of its own.
    """

    name: str
    selector: Mapping[str, str] = field(default_factory=dict)
    is_headless: bool = False

    @staticmethod
    def of(service: Json) -> "SelectingService | None":
        """Read a Service's JSON (core/v1); None if it selects no pods."""
        spec, own = service.get("spec"), service.get("metadata")
        if not isinstance(spec, dict) or not isinstance(own, dict) or spec.get("type") == "ExternalName":
            return None
        selector, name = spec.get("selector"), own.get("name")
        if not isinstance(selector, dict) or not selector or not name:
            return None
        is_headless = spec.get("clusterIP") == "None"
        return SelectingService(str(name), {str(key): str(value) for key, value in selector.items()}, is_headless)

    def selects(self, labels: Mapping[str, object]) -> bool:
        """Return whether a pod with these labels is one of its pods; without a selector, none is."""
        return bool(self.selector) and all(
            key in labels and str(labels[key]) == value for key, value in self.selector.items()
        )


def service_of(pod: Json, services: Iterable[SelectingService] = ()) -> str:
    """Return the service that a pod, or a template of pods, belongs to.

    If several Services select the pod, one with the workload's name wins, then one with the value of a usual label
    for names, then one with an address of its own, and then the shortest name.

    Args:
        pod: The pod; its name, generated name and owner are its workload's.
        services: The Services of its namespace.
    """
    own = pod.get("metadata") or {}
    labels = own.get("labels") or {}
    if labels.get(SERVICE_LABEL):
        return str(labels[SERVICE_LABEL])
    workload = workload_of(own, labels)
    likely = [workload, *(str(labels[label]) for label in _NAME_LABELS if labels.get(label))]
    found = [one for one in services if one.selects(labels)]

    def order(one: SelectingService) -> tuple[int, bool, int, str]:
        rank = likely.index(one.name) if one.name in likely else len(likely)
        return rank, one.is_headless, len(one.name), one.name

    return min(found, key=order).name if found else workload


def workload_of(own: Json, labels: Json) -> str:
    """Return the name of the workload that makes a pod; the pod's own name if nothing makes it."""
    owners = [one for one in own.get("ownerReferences") or () if isinstance(one, dict) and one.get("controller")]
    generated = str(own.get("generateName") or "").removesuffix("-")
    name = str(next((one.get("name") for one in owners if one.get("name")), "")) or generated
    if name:
        return name.removesuffix(f"-{labels[_HASH_LABEL]}") if labels.get(_HASH_LABEL) else name
    return str(own.get("name") or "unknown")
