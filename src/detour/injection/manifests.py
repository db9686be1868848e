"""Adding sidecars to manifests: text with any number of YAML documents in, the same text with sidecars out.

Invariant: a document without a new sidecar does not change in any character. In one with a new sidecar, the rest
means the same to Kubernetes as before. Kubernetes reads times and numbers with colons as text; PyYAML by itself
does not.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, ClassVar, Final

import yaml

from detour.injection.plan import Json, metadata, plan
from detour.injection.pod import inject
from detour.injection.settings import InjectionSettings, Mode
from detour.injection.shape import METADATA, POD, Shape, mistake

_TEMPLATES: Final = {
    "Pod": (),
    **dict.fromkeys(("DaemonSet", "Deployment", "Job", "ReplicaSet", "StatefulSet"), ("spec", "template")),
    "ReplicationController": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "PodTemplate": ("template",),
}
"""The path to the pod in each kind."""

_ENFORCE: Final = "pod-security.kubernetes.io/enforce"
_STRICT: Final = ("baseline", "restricted")

_NEEDS_RIGHTS: Final = (
    "pods get transparent mode, whose init container needs NET_ADMIN and NET_RAW: where the cluster refuses such"
    " pods (Pod Security baseline or restricted), use --mode explicit"
)

_WIDTH: Final = 100_000
"""Texts stay on one line, however long: the bootstrap of a sidecar is one."""


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
        parts = [(part, _value(part)) for part in _documents(text)]
        owner = _Owner(settings, _refusals(document for _, document in parts))
        done = "".join(_injected(part, document, owner) for part, document in parts)
    except yaml.YAMLError as error:
        raise ValueError(f"this is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError:
        raise ValueError("this is nested too deeply to be a manifest") from None
    return Manifests(done, tuple(dict.fromkeys(owner.notes)))


def _value(part: str) -> Any:
    try:
        return yaml.load(part, _Loader)  # noqa: S506  a safe one, fewer types
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # PyYAML's own, for a value that is not of its kind, such as `!!bool x` or `0x_`.
        raise yaml.YAMLError(f"a value is not what it looks like ({error})") from error


@dataclass(frozen=True, slots=True)
class _Owner:
    """Values for all documents, and the messages for their owner.

    Args:
        settings: The settings of injected sidecars.
        refusals: By namespace, why transparent mode is not possible there.
        notes: The messages; injection appends to them.
    """

    settings: InjectionSettings
    refusals: dict[str, str]
    notes: list[str] = field(default_factory=list)

    def settings_in(self, namespace: str) -> InjectionSettings:
        return replace(self.settings, refusal=self.refusals.get(namespace, self.settings.refusal))


def _refusals(documents: Iterable[Any]) -> dict[str, str]:
    """Return why namespaces among the manifests do not admit transparent mode's init container (Pod Security)."""
    found = {}
    for document in documents:
        if not isinstance(document, dict) or document.get("kind") != "Namespace":
            continue
        _expect(document, document, {"metadata": METADATA}, "")
        name, level = (document.get("metadata") or {}).get("name"), metadata(document, "labels").get(_ENFORCE)
        if level in _STRICT:
            found[str(name)] = f"namespace {name} enforces the Pod Security level {level}"
    return found


def _documents(text: str) -> Iterator[str]:
    """Split the text where documents begin; the first part includes the text before the first document."""
    begun = [event.start_mark for event in yaml.parse(text) if isinstance(event, yaml.DocumentStartEvent)]
    starts = [mark.index for mark in begun if mark]
    edges = [0, *starts[1:], len(text)]
    yield from (text[start:end] for start, end in pairwise(edges))


def _injected(part: str, document: Any, owner: _Owner) -> str:
    changed = _with_sidecars(document, owner)
    if changed == document:
        return part
    start = "---\n" if part.lstrip().startswith("---") else ""
    return start + yaml.dump(changed, Dumper=_Dumper, sort_keys=False, width=_WIDTH, allow_unicode=True)


def _with_sidecars(document: Any, owner: _Owner) -> Any:
    if not isinstance(document, dict):
        return document
    kind = str(document.get("kind"))
    if kind.endswith("List") and isinstance(document.get("items"), list):
        return {**document, "items": [_with_sidecars(one, owner) for one in document["items"]]}
    if kind not in _TEMPLATES:
        return document
    return _replaced(document, _TEMPLATES[kind], lambda pod: _pod(document, pod, owner))


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
    return f"{document['kind']} {name if isinstance(name, str) else ''}".rstrip()


def _replaced(value: Any, path: tuple[str, ...], change: Any) -> Any:
    """Return a value with another part at the path; the same value if the path does not exist."""
    if not isinstance(value, dict):
        return value
    if not path:
        return change(value)
    return {**value, path[0]: _replaced(value[path[0]], path[1:], change)} if path[0] in value else value


def _pod(document: Json, pod: Json, owner: _Owner) -> Json:
    if not isinstance(pod.get("spec"), dict):
        return pod
    about = _about(document)
    _expect(document, document, {"metadata": METADATA}, "")
    _expect(document, pod, POD, ".".join(_TEMPLATES[document["kind"]]))
    own = document.get("metadata") or {}
    name = own.get("name") or own.get("generateName") or ""
    settings = owner.settings_in(own.get("namespace") or "default")
    chosen = plan(pod, settings)
    injected = inject({**pod, "metadata": {"name": name, **(pod.get("metadata") or {})}}, settings)
    owner.notes.extend(f"{about}: {warning}" for warning in chosen.warnings)
    if chosen.skipped:
        owner.notes.append(f"{about} is left alone: {chosen.skipped}")
    if chosen.injects and chosen.is_auto and chosen.mode is Mode.TRANSPARENT:
        owner.notes.append(_NEEDS_RIGHTS)
    return _unnamed(injected, pod) if chosen.injects else pod


def _unnamed(injected: Json, template: Json) -> Json:
    """Remove the owner's name from a template's metadata: it was there to name the service."""
    kept = {key: value for key, value in injected["metadata"].items() if key != "name"}
    own = template.get("metadata") or {}
    metadata = {"name": own["name"], **kept} if "name" in own else kept
    return {**injected, "metadata": {key: metadata[key] for key in [*own, *metadata] if key in metadata}}


_TAG: Final = "tag:yaml.org,2002:"
_AS_KUBERNETES: Final = {
    "bool": ("y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", "yYnNtTfFoO"),
    "int": (r"[-+]?(0b[01_]+|0o?[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
}
"""The words without quotes that Kubernetes does not read as text, and the characters that they begin with."""


class _Loader(yaml.SafeLoader):
    """Reads values as Kubernetes does: no times, no numbers with colons, no `=`; but `y` and `1e3`."""

    bool_values: ClassVar[dict[str, bool]] = {**yaml.SafeLoader.bool_values, "y": True, "n": False}


class _Dumper(yaml.SafeDumper):
    """Quotes every text that Kubernetes or PyYAML would read as another type; writes long texts as blocks."""


_Loader.yaml_implicit_resolvers = {
    first: [one for one in resolvers if one[0].removeprefix(_TAG) in {"merge", "null"}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _kind, (_pattern, _first) in _AS_KUBERNETES.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_TAG + _kind, re.compile(f"^(?:{_pattern})$"), list(_first))


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar(f"{_TAG}str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
