"""The chart's objects with what somebody has chosen. Pure, but for reading the package's own file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import yaml

from detour.kubernetes.objects import Json

# What stands in the rendered chart for what is chosen.
_SERVER: Final = "server-xx"
_MESH: Final = "mesh-xx"
_IMAGE: Final = "image-xx:xx"
_MANAGER: Final = "app.kubernetes.io/managed-by"


@dataclass(frozen=True, slots=True)
class Choices:
    """What is chosen for an installation.

    Args:
        namespaces: Those that make the mesh, the home one first.
        server: The server's own namespace.
        image: The server's.
        replicas: How many of them.
    """

    namespaces: Sequence[str]
    server: str
    image: str
    replicas: int = 2


def manifests(choices: Choices) -> list[Json]:
    """Return the objects of an installation, in the order in which they are to be created."""
    text = files("detour.install").joinpath("chart.yaml").read_text(encoding="utf-8")
    rendered = [one for one in yaml.safe_load_all(text) if one]
    return [_namespace(choices.server), *(made for one in rendered for made in _chosen(one, choices))]


def _namespace(name: str) -> Json:
    labels = {"app.kubernetes.io/part-of": "detour", _MANAGER: "detour"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _chosen(one: Json, choices: Choices) -> Iterator[Json]:
    if one["kind"] == "PodDisruptionBudget" and choices.replicas == 1:
        # It would keep the only replica's node from ever being drained.
        return
    in_mesh = one["metadata"].get("namespace") == _MESH
    for namespace in choices.namespaces if in_mesh else [""]:
        made = _filled(one, choices, namespace)
        made["metadata"]["labels"][_MANAGER] = "detour"
        if made["kind"] == "Deployment":
            made["spec"]["replicas"] = choices.replicas
            made["spec"]["template"]["metadata"]["labels"][_MANAGER] = "detour"
        yield made


def _filled(value: Any, choices: Choices, namespace: str) -> Any:
    """Fill in what is chosen; a list's item that stands for the mesh's namespaces becomes one for each."""
    match value:
        case dict():
            return {key: _filled(one, choices, namespace) for key, one in value.items()}
        case list():
            return [two for one in value for two in _items(one, choices, namespace)]
        case str():
            filled = value.replace(_SERVER, choices.server).replace(_IMAGE, choices.image)
            return filled.replace(_MESH, namespace) if namespace else filled
    return value


def _items(value: Any, choices: Choices, namespace: str) -> list[Any]:
    if isinstance(value, str) and _MESH in value:
        named = list(dict.fromkeys(choices.namespaces))
        return [_filled(value, choices, one) for one in named]
    return [_filled(value, choices, namespace)]
