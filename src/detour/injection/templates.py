"""The pod templates of an object of any kind.

Invariant: pure. A template of a kind that Kubernetes itself has is found where its API puts it, also if it is
malformed. In any other kind, a template is a mapping below a key that ends in `template` and has containers in its
`spec`: so have Argo's Rollout, Knative's Service, JobSets, and whatever else creates pods from a template.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from detour.injection.shape import POD, mistake

Json = dict[str, Any]
Path = tuple[str | int, ...]

BUILT_IN: Final[dict[str, Path]] = {
    "Pod": (),
    **dict.fromkeys(("DaemonSet", "Deployment", "Job", "ReplicaSet", "StatefulSet"), ("spec", "template")),
    "ReplicationController": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "PodTemplate": ("template",),
}
"""The path to the pod in each of Kubernetes' own kinds."""

_SCHEMA: Final = "CustomResourceDefinition"


def templates(document: Json) -> list[Path]:
    """Return the paths of an object's pod templates."""
    kind = document.get("kind")
    if isinstance(kind, str) and kind in BUILT_IN:
        return [BUILT_IN[kind]]
    if not kind or kind == _SCHEMA:
        return []
    return list(_found(document, (), _is_template))


def loose_containers(document: Json, found: list[Path]) -> list[str]:
    """Return the places of containers that are outside of the templates found, such as `spec.containers`."""
    if str(document.get("kind")) in {*BUILT_IN, _SCHEMA}:
        return []
    outside = [
        path
        for path in _found(document, (), _is_container_list)
        if not any(path[: len(one)] == one for one in found)
    ]
    return [_text(path) for path in outside]


def at(value: Any, path: Path) -> Any:
    """Return the part of a value at a path; None if it does not exist."""
    for key in path:
        is_there = key in value if isinstance(value, dict) else isinstance(value, list) and isinstance(key, int)
        if not is_there:
            return None
        value = value[key]
    return value


def replaced(value: Any, path: Path, part: Any) -> Any:
    """Return a value with another part at a path that exists."""
    if not path:
        return part
    key, *rest = path
    inner = replaced(value[key], tuple(rest), part)
    if isinstance(value, list):
        return [inner if index == key else one for index, one in enumerate(value)]
    return {**value, key: inner}


def _found(value: Any, path: Path, is_wanted: Callable[[Path, Any], bool]) -> Iterator[Path]:
    if is_wanted(path, value):
        yield path
        return
    members: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in members:
        yield from _found(inner, (*path, key), is_wanted)


def _is_template(path: Path, value: Any) -> bool:
    if not path or not str(path[-1]).lower().endswith("template") or not isinstance(value, dict):
        return False
    spec = value.get("spec")
    containers = spec.get("containers") if isinstance(spec, dict) else None
    return isinstance(containers, list) and bool(containers) and not mistake(value, POD, "template")


def _is_container_list(path: Path, value: Any) -> bool:
    if not path or path[-1] not in {"container", "containers"}:
        return False
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, dict) and isinstance(first.get("image"), str)


def _text(path: Path) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")
