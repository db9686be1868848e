"""Which workload is the baseline of a Service. Pure.

Invariant: if it is not clear which workload is meant, none is chosen, and the error names the candidates.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Final

from detour.kubernetes.labels import OFFLOADED, SERVICE
from detour.kubernetes.objects import Json
from detour.offload.kubernetes.errors import CannotCopyError

Owner = tuple[str, str]
"""The kind and name of a workload."""

_HASHES: Final = frozenset({"pod-template-hash", "rollouts-pod-template-hash"})
"""Labels that controllers add to pods: the Services of a Rollout select by one."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Something that has a template of pods.

    Args:
        kind: Its kind.
        name: Its name.
        source: What a copy is made from, in the form of a Deployment.
    """

    kind: str
    name: str
    source: Json

    def __str__(self) -> str:
        return self.name if self.kind == "Deployment" else f"{self.kind}/{self.name}"

    @property
    def owner(self) -> Owner:
        """Its kind and name."""
        return self.kind, self.name

    def is_called(self, text: str) -> bool:
        """Return whether a text means it: NAME, or KIND/NAME in lower or upper case."""
        kind, slash, name = text.rpartition("/")
        return name == self.name and (not slash or kind.lower() in {self.kind.lower(), f"{self.kind.lower()}s"})


def workloads(deployments: Iterable[Json], others: Mapping[str, Iterable[Json]]) -> list[Workload]:
    """Return the workloads of a namespace that can be a baseline.

    Args:
        deployments: All Deployments, whole.
        others: The other workloads, whole, by kind.
    """
    kept = [one for one in deployments if not _is_offloaded(one)]
    found = [Workload("Deployment", one["metadata"]["name"], one) for one in kept]
    templates = {one["metadata"]["name"]: one["spec"]["template"] for one in kept}
    for kind, objects in others.items():
        for one in objects:
            template = _template(one, templates)
            if template is not None and not _is_owned(one) and not _is_offloaded(one):
                found.append(_as_workload(kind, one, template))
    return found


def find_baseline(
    service: Json, candidates: Sequence[Workload], serving: Mapping[Owner, int], chosen: str = ""
) -> Workload:
    """Find the workload behind a Service.

    Without a choice it is the one whose pods serve. If several do, or none, it is the one with the Service's name.

    Args:
        service: The whole Service.
        candidates: The workloads of its namespace.
        serving: The number of ready pods of the Service, by the workload that owns them.
        chosen: The workload that the user has chosen: NAME or KIND/NAME; empty for no choice.

    Raises:
        CannotCopyError: It does not exist, or is ambiguous.
    """
    name, selector = service["metadata"]["name"], service["spec"].get("selector")
    if not selector:
        raise CannotCopyError(
            f"Service {name} has no selector, so it has no Deployment to copy; {_otherwise(name)}"
        )
    behind = behind_service(service, candidates)
    if chosen:
        return _chosen(name, behind, chosen)
    if not behind:
        raise CannotCopyError(f"no Deployment is behind Service {name}, nor another workload; {_otherwise(name)}")
    found = [one for one in behind if serving.get(one.owner)] or behind
    found = [one for one in found if one.name == name] or found
    if len(found) > 1:
        raise CannotCopyError(
            f"several workloads are behind Service {name}: choose one with --from, of {_listed(found, serving)}"
        )
    return found[0]


def behind_service(service: Json, candidates: Iterable[Workload]) -> list[Workload]:
    """Return the workloads whose pods a Service selects."""
    wanted = {key: value for key, value in (service["spec"].get("selector") or {}).items() if key not in _HASHES}
    labels = ((one, one.source["spec"]["template"].get("metadata", {}).get("labels")) for one in candidates)
    return [one for one, found in labels if wanted and wanted.items() <= (found or {}).items()]


def _chosen(service: str, behind: Sequence[Workload], chosen: str) -> Workload:
    found = [one for one in behind if one.is_called(chosen)]
    if len(found) == 1:
        return found[0]
    if found:
        raise CannotCopyError(f"--from {chosen} is ambiguous: say KIND/NAME, as in {found[0].kind}/{found[0].name}")
    known = ", ".join(sorted(map(str, behind))) or "none"
    raise CannotCopyError(f"no workload {chosen} is behind Service {service}; behind it: {known}")


def _listed(found: Iterable[Workload], serving: Mapping[Owner, int]) -> str:
    return ", ".join(sorted(f"{one} ({serving.get(one.owner, 0)} ready)" for one in found))


def _otherwise(service: str) -> str:
    labels = f"{OFFLOADED}: NAME and {SERVICE}: {service}"
    return f"create pods with the labels {labels} yourself, or register instances with detour offload add"


def _template(one: Json, of_deployments: Mapping[str, Json]) -> Json | None:
    """Return the template of a workload's pods; a Rollout may have that of a Deployment (`workloadRef`)."""
    spec = one["spec"]
    reference = spec.get("workloadRef") or {}
    if reference.get("kind") == "Deployment":
        return of_deployments.get(reference.get("name", ""))
    template: Json | None = spec.get("template")
    return template


def _as_workload(kind: str, one: Json, template: Json) -> Workload:
    name = one["metadata"]["name"]
    claims = one["spec"].get("volumeClaimTemplates") or ()
    source = {"metadata": {**one["metadata"], "name": f"{kind}/{name}"}, "spec": {"template": deepcopy(template)}}
    if claims:
        spec = source["spec"]["template"]["spec"]
        spec["volumes"] = [*(spec.get("volumes") or ()), *map(_fresh_volume, claims)]
    return Workload(kind, name, source)


def _fresh_volume(claim: Json) -> Json:
    """Return a volume like that of a StatefulSet's pod: new for each pod of the copy, and deleted with it."""
    metadata = {key: claim["metadata"][key] for key in ("labels", "annotations") if claim["metadata"].get(key)}
    template = {**({"metadata": metadata} if metadata else {}), "spec": deepcopy(claim["spec"])}
    return {"name": claim["metadata"]["name"], "ephemeral": {"volumeClaimTemplate": template}}


def _is_owned(one: Json) -> bool:
    """Return whether a controller manages it, such as the Deployment of a ReplicaSet."""
    return any(reference.get("controller") for reference in one["metadata"].get("ownerReferences") or ())


def _is_offloaded(one: Json) -> bool:
    return OFFLOADED in (one["metadata"].get("labels") or {})
