"""Adding sidecars to manifests: text with any number of YAML documents in, the same text with sidecars out.

Invariant: a document without a new sidecar does not change in any character. In one with a new sidecar, the rest
means the same to Kubernetes as before. Kubernetes reads times and numbers with colons as text; PyYAML by itself
does not.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import yaml

from detour.injection.documents import documents, dump, is_marked, may_matter, parse
from detour.injection.plan import Json, metadata, plan
from detour.injection.pod import inject
from detour.injection.service_name import SelectingService
from detour.injection.settings import InjectionSettings, Mode
from detour.injection.shape import METADATA, POD, Shape, mistake
from detour.injection.templates import Path, at, loose_containers, replaced, templates

_ENFORCE: Final = "pod-security.kubernetes.io/enforce"
_STRICT: Final = ("baseline", "restricted")

_NEEDS_RIGHTS: Final = (
    "pods get transparent mode, whose init container needs NET_ADMIN and NET_RAW: where the cluster refuses such"
    " pods (Pod Security baseline or restricted), use --mode explicit"
)

_KNATIVE: Final = "serving.knative.dev/"
_KNATIVE_FEATURES: Final = (
    "Knative accepts its sidecar only with the features kubernetes.podspec-init-containers and"
    " kubernetes.podspec-fieldref (ConfigMap config-features)"
)


@dataclass(frozen=True, slots=True)
class Manifests:
    """Manifests with sidecars.

    Args:
        text: The YAML documents.
        notes: Messages for their owner: which objects are unchanged, and why.
    """

    text: str
    notes: tuple[str, ...]


def inject_manifests(text: str, settings: InjectionSettings) -> Manifests:
    """Add a sidecar to every pod of the manifests that should have one.

    Raises:
        ValueError: The text is not YAML, or has an invalid pod; the message says where.
    """
    try:
        parts = [(part, parse(part) if may_matter(part) else None) for part in documents(text)]
        owner = _Owner(settings, _surroundings(document for _, document in parts))
        done = "".join(_injected(part, document, owner) for part, document in parts)
    except yaml.YAMLError as error:
        raise ValueError(f"this is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError:
        raise ValueError("this is nested too deeply to be a manifest") from None
    return Manifests(done, tuple(dict.fromkeys(owner.notes)))


@dataclass(slots=True)
class _Surroundings:
    """What the manifests say about a namespace.

    Args:
        refusal: Why transparent mode is not possible there; empty if it may be.
        services: Its Services.
        limit_ranges: Its LimitRanges.
    """

    refusal: str = ""
    services: list[SelectingService] = field(default_factory=list)
    limit_ranges: list[Json] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Owner:
    """Values for all documents, and the messages for their owner.

    Args:
        settings: The settings of injected sidecars.
        surroundings: By namespace.
        notes: The messages; injection appends to them.
    """

    settings: InjectionSettings
    surroundings: dict[str, _Surroundings]
    notes: list[str] = field(default_factory=list)

    def settings_in(self, namespace: str) -> InjectionSettings:
        found = self.surroundings.get(namespace, _Surroundings())
        return replace(
            self.settings,
            refusal=found.refusal or self.settings.refusal,
            services=tuple(found.services),
            limit_ranges=tuple(found.limit_ranges),
        )


def _surroundings(documents: Iterable[Any]) -> dict[str, _Surroundings]:
    """Read the Namespaces (Pod Security), Services and LimitRanges among the manifests."""
    found: dict[str, _Surroundings] = {}
    for document in _single(documents):
        if (kind := str(document.get("kind"))) not in {"Namespace", "Service", "LimitRange"}:
            continue
        _expect(document, document, {"metadata": METADATA}, "")
        own = document.get("metadata") or {}
        name, namespace = str(own.get("name")), str(own.get("namespace") or "default")
        of_namespace = found.setdefault(name if kind == "Namespace" else namespace, _Surroundings())
        if kind == "LimitRange":
            of_namespace.limit_ranges.append(document)
        elif kind == "Service" and document.get("apiVersion", "v1") == "v1":
            of_namespace.services += [one for one in [SelectingService.of(document)] if one]
        elif kind == "Namespace" and (level := metadata(document, "labels").get(_ENFORCE)) in _STRICT:
            of_namespace.refusal = f"namespace {name} enforces the Pod Security level {level}"
    return found


def _single(documents: Iterable[Any]) -> Iterable[Json]:
    """Yield the objects of documents, those of lists as well."""
    for document in documents:
        if isinstance(document, dict):
            yield document
            if _is_list(document):
                yield from _single(document["items"])


def _is_list(document: Json) -> bool:
    return str(document.get("kind")).endswith("List") and isinstance(document.get("items"), list)


def _injected(part: str, document: Any, owner: _Owner) -> str:
    changed = _with_sidecars(document, owner)
    if changed == document:
        return part
    return ("---\n" if is_marked(part) else "") + dump(changed)


def _with_sidecars(document: Any, owner: _Owner) -> Any:
    if not isinstance(document, dict):
        return document
    if _is_list(document):
        return {**document, "items": [_with_sidecars(one, owner) for one in document["items"]]}
    changed: Any = document
    found = templates(document)
    for path in found:
        if isinstance(pod := at(document, path), dict):
            changed = replaced(changed, path, _pod(document, pod, path, owner))
    owner.notes.extend(f"{_about(document)} is left alone: {why}" for why in _not_found(document, found))
    return changed


def _not_found(document: Json, found: list[Path]) -> Iterable[str]:
    """Yield why containers of an object get no sidecar."""
    spec = document.get("spec")
    if not found and isinstance(spec, dict) and isinstance(reference := spec.get("workloadRef"), dict):
        yield f"its pods are those of {reference.get('kind')} {reference.get('name')}"
    for place in loose_containers(document, found):
        yield (
            f"{place} is not part of a pod template; if its controller creates pods, the webhook can inject them"
            " (label the namespace)"
        )


def _expect(document: Json, part: Any, shape: Shape, at: str) -> None:
    """Refuse a part of a document that has another shape.

    Raises:
        ValueError: It has another shape; the message says where.
    """
    if found := mistake(part, shape, at):
        raise ValueError(f"Kubernetes would not accept {_about(document)}: {found}")


def _about(document: Json) -> str:
    own = document.get("metadata")
    name = own.get("name") or own.get("generateName") if isinstance(own, dict) else ""
    return f"{document.get('kind')} {name if isinstance(name, str) else ''}".rstrip()


def _pod(document: Json, pod: Json, path: Path, owner: _Owner) -> Json:
    if not isinstance(pod.get("spec"), dict):
        return pod
    about = _about(document)
    _expect(document, document, {"metadata": METADATA}, "")
    _expect(document, pod, POD, ".".join(str(key) for key in path))
    own = document.get("metadata") or {}
    name = own.get("name") or own.get("generateName") or ""
    settings = owner.settings_in(own.get("namespace") or "default")
    chosen = plan(pod, settings)
    injected = inject({**pod, "metadata": {"name": name, **(pod.get("metadata") or {})}}, settings)
    owner.notes.extend(f"{about}: {warning}" for warning in chosen.warnings)
    if why := "it has a sidecar already" if chosen.has_one else chosen.skipped:
        owner.notes.append(f"{about} is left alone: {why}")
    if chosen.injects and str(document.get("apiVersion")).startswith(_KNATIVE):
        owner.notes.append(f"{about}: {_KNATIVE_FEATURES}")
    if chosen.injects and chosen.is_auto and chosen.mode is Mode.TRANSPARENT:
        owner.notes.append(_NEEDS_RIGHTS)
    return _unnamed(injected, pod) if chosen.injects else pod


def _unnamed(injected: Json, template: Json) -> Json:
    """Remove the owner's name from a template's metadata: it was there to name the service."""
    kept = {key: value for key, value in injected["metadata"].items() if key != "name"}
    own = template.get("metadata") or {}
    metadata = {"name": own["name"], **kept} if "name" in own else kept
    return {**injected, "metadata": {key: metadata[key] for key in [*own, *metadata] if key in metadata}}
