"""The chart's objects with the chosen values. Pure, except for reading the package's own file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import yaml

from detour.kubernetes.objects import Json

# Placeholders of the rendered chart.
_SERVER: Final = "server-xx"
_MESH: Final = "mesh-xx"
_IMAGE: Final = "image-xx:xx"
_MANAGER: Final = "app.kubernetes.io/managed-by"


@dataclass(frozen=True, slots=True)
class Choices:
    """The chosen values of an installation.

    Args:
        namespaces: The namespaces of the mesh, the home one first.
        server: The server's own namespace.
        image: The server's image.
        replicas: The number of servers.
    """

    namespaces: Sequence[str]
    server: str
    image: str
    replicas: int = 2


def manifests(choices: Choices) -> list[Json]:
    """Return the objects of an installation, in the order of their creation."""
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
    """Replace placeholders; a list's item with the mesh's namespace becomes one item for each namespace."""
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
